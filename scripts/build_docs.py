"""Build the documentation as a site: ``make docs``.

python scripts/build_docs.py

Pages that say what is said elsewhere are made from it: the README is the first page; the notebook, the commands and
what is public of the package have pages of their own. All pages go to ``build/pages``, Zensical makes ``build/docs`` of
them, and that is checked: every link leads somewhere, and a reader's browser is made to fetch nothing.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from html import escape
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import typer

import dgbench
from dgbench.cli import program

ROOT = Path(__file__).parents[1]
PAGES, SITE = ROOT / "build" / "pages", ROOT / "build" / "docs"
NOTEBOOK = ROOT / "docs" / "compare-in-a-notebook.ipynb"
REFERENCE = {
    "boards": ("Boards", "dgbench.api.boards"),
    "measuring": ("Other numbers than accuracy", "dgbench.api.measuring"),
    "comparing": ("Comparing", "dgbench.api.comparing"),
    "diagnosing": ("What a dataset is like", "dgbench.api.diagnosing"),
    "examining": ("What a trained model is like", "dgbench.api.examining"),
    "reproducing": ("Doing again", "dgbench.api.reproducing"),
    "submissions": ("Submissions", "dgbench.api.submitting"),
    "models": ("Models", "dgbench.api.using"),
    "publishing": ("Publishing", "dgbench.api.publishing"),
    "types": ("What the functions take and give", None),
    "errors": ("Errors", None),
}
"""Pages of the reference: the title, and the module whose functions they show."""


def main() -> None:
    """Write the pages, build the site and check it."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES, ignore=shutil.ignore_patterns("*.ipynb"))
    for page in PAGES.glob("*.md"):
        page.write_text(inside(page.read_text(encoding="utf-8")), encoding="utf-8")
    for address, text in made().items():
        (PAGES / address).parent.mkdir(exist_ok=True)
        (PAGES / address).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    (SITE / "404.html").unlink()  # its links start at the root of a host, and this folder may lie anywhere
    faults = [*dead_links(SITE), *fetched(SITE)]
    if faults:
        sys.exit("\n".join(faults))
    print(SITE / "index.html")


def made() -> dict[str, str]:
    """The pages that no file of the documentation holds, by address."""
    pages = {
        "index.md": moved((ROOT / "README.md").read_text(encoding="utf-8")),
        "contributing.md": moved((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")),
        "compare-in-a-notebook.md": "\n\n".join(cells(json.loads(NOTEBOOK.read_text(encoding="utf-8")))),
        "commands.md": "\n\n".join(commands()),
        **{f"reference/{name}.md": "\n\n".join(reference(name)) for name in REFERENCE},
    }
    return {address: text + "\n" for address, text in pages.items()}


def moved(text: str) -> str:
    """A page of the repository's root, as it links to others from the folder of the documentation, and to no others."""
    text = re.sub(r"(?<!!)\[([^\]]+)\]\((?!docs/|CONTRIBUTING\.md|#|\w+:)[^)]+\)", r"\1", text)
    here = re.sub(r"(?<=\]\()docs/", "", text).replace("](CONTRIBUTING.md", "](contributing.md")
    return re.sub(r"(\]\([\w-]+)\.ipynb", r"\1.md", here)


def inside(text: str) -> str:
    """A page of the documentation without links to files of the repository, which the site does not have."""
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", text)


def cells(notebook: dict[str, Any]) -> Iterator[str]:
    """A notebook as Markdown: its text, its code, and what came of it."""
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source
            continue
        yield f"```python\n{source}\n```"
        for output in cell["outputs"]:
            content = output.get("data", {"text/plain": output.get("text", "")})
            text = {kind: "".join(lines) for kind, lines in content.items()}
            if "text/html" in text:
                lines = map(str.strip, text["text/html"].splitlines())
                yield "\n".join(['<div class="output">', *filter(None, lines), "</div>"])  # an empty line would end it
            elif "image/png" in text:
                yield f'<div class="output"><img alt="" src="data:image/png;base64,{text["image/png"].strip()}"></div>'
            else:
                yield f'<pre class="output">{escape(text["text/plain"].rstrip())}</pre>'


def commands() -> Iterator[str]:
    """Every command with the help that it prints."""
    yield "# Commands"
    yield "What `dgbench COMMAND --help` prints, for every command. Their [exit codes](exit-codes.md) are the same."
    command = typer.main.get_command(program())  # made once: a runner of typer's makes it for each call
    for words in sorted(verbs(command)):
        with redirect_stdout(StringIO()) as said:
            command.main([*words, "--help"], "dgbench", standalone_mode=False, terminal_width=80)
        yield f"## dgbench {' '.join(words)}".rstrip()
        yield f"```text\n{said.getvalue().strip()}\n```"


def verbs(command: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of a command, and of those below it."""
    yield before
    for name, below in getattr(command, "commands", {}).items():
        yield from verbs(below, (*before, name))


def reference(page: str) -> Iterator[str]:
    """A page of the reference."""
    title, module = REFERENCE[page]
    yield f"# {title}"
    if module:
        yield f"::: {module}\n    options: {{members: false, show_root_heading: false, show_root_toc_entry: false}}"
    for name in on_page(page):
        yield f"::: dgbench.{name}"


def on_page(page: str) -> list[str]:
    """The public names that a page of the reference shows: functions as they stand in their module."""
    public = {name: getattr(dgbench, name) for name in dgbench.__all__ if not name.startswith("_")}
    shown = [name for name, thing in public.items() if page_of(thing) == page]
    _, module = REFERENCE[page]
    order = list(vars(sys.modules[module])) if module else shown
    return sorted(shown, key=lambda name: order.index(name) if name in order else len(order))


def page_of(thing: Any) -> str:
    """The page of the reference that shows a public function, class or error."""
    if inspect.isclass(thing):
        return "errors" if issubclass(thing, Exception) else "types"
    homes = {module: name for name, (_, module) in REFERENCE.items() if module}
    return homes.get(thing.__module__, "boards")


class Read(HTMLParser):
    """What a page says of others, and what may be linked to in it.

    Attributes:
        ids: What an address may end with after ``#``.
        links: Where a reader may go.
        loads: What a browser fetches by itself.
    """

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what it refers to."""
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("prev", "next", "canonical") and "href" in given:
            self.loads.append(given["href"])
        self.loads += [given[name] for name in ("src", "poster", "data") if name in given]
        self.loads += re.findall(r"url\(['\"]?([^'\")]+)", given.get("style", ""))


def dead_links(site: Path) -> Iterator[str]:
    """Links and files of a page that lead nowhere in the folder."""
    pages = {page.resolve(): Read(page) for page in sorted(site.rglob("*.html"))}
    for page, read in pages.items():
        for address in (*read.links, *read.loads):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            to = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not to.is_file():
                yield f"{page.relative_to(site.resolve())}: {address} leads nowhere"
            elif parts.fragment and to in pages and unquote(parts.fragment) not in {*pages[to].ids, "__top"}:
                yield f"{page.relative_to(site.resolve())}: {address}: there is no such place on that page"


def fetched(site: Path) -> Iterator[str]:
    """What a page or a style has a browser fetch from elsewhere."""
    for page in sorted(site.rglob("*.html")):
        for address in Read(page).loads:
            if urlsplit(address).netloc:
                yield f"{page.relative_to(site)} fetches {address}"
    for style in sorted(site.rglob("*.css")):
        for address in re.findall(
            r"(?:url\(|@import )['\"]?((?:https?:)?//[^'\")]+)", style.read_text(encoding="utf-8")
        ):
            yield f"{style.relative_to(site)} fetches {address}"


if __name__ == "__main__":
    main()
