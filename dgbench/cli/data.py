"""``dgbench data``: from pictures on disk to a card, to a clean bill of health, to arrays that training reads."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from dgbench.cli.bars import Bar, shown_bars
from dgbench.cli.output import Json, Quiet, new_table, print_json, screen
from dgbench.core.names import readable

if TYPE_CHECKING:
    from dgbench.data.disk.findings import Finding


def add(app: typer.Typer) -> None:
    """Add the verbs that look after datasets."""
    verbs = typer.Typer(help="Look after datasets. Write their cards, check them, decode them.", no_args_is_help=True)
    verbs.command("new")(new)
    verbs.command("check")(check_)
    verbs.command("prepare")(prepare_)
    app.add_typer(verbs, name="data")


Column = Annotated[str | None, typer.Option(metavar="COLUMN", help="which column of a table it is")]


def new(
    source: Annotated[
        str, typer.Argument(metavar="DIR", help="a folder, a CSV or Parquet file, or hf://owner/name@revision")
    ],
    name: Annotated[str | None, typer.Option(help="of the dataset; made from the source's name by default")] = None,
    layout: Annotated[
        str | None, typer.Option(help="of a folder, as '{class}/{domain}', if the guess is wrong")
    ] = None,
    image: Column = None,
    label: Column = None,
    domain: Column = None,
    split: Column = None,
    group: Column = None,
    as_json: Json = False,
) -> None:
    """Write the card of a dataset.

    The card goes to ./datasets, and what was found is said. The data stays as and where it is.
    """
    from dgbench.core.dataset_card import OWN
    from dgbench.data.disk.look import look, write

    given = {"image": image, "label": label, "domain": domain, "split": split, "group": group}
    columns = {kind: column for kind, column in given.items() if column is not None}
    with shown_bars(False) as bars:
        draft = look(source, name, columns, layout, Bar(bars, "looking"))
    path = write(draft, OWN)
    if as_json:
        print_json({"wrote": path, "found": draft.said, "card": draft.content})
        return
    for line in draft.said:
        print(line)
    console = Console(highlight=False)
    table = new_table()
    table.add_column("domain")
    table.add_column("images", justify="right")
    for row in draft.content["domains"]:
        table.add_row(Text(row["name"]), f"{row['count']:,}")
    console.print()
    console.print(table)
    classes = draft.content["classes"]
    print(f"\n{len(classes)} classes: {', '.join(classes[:8])}{', ...' if len(classes) > 8 else ''}")
    print(
        f"wrote {path}; write the licence of your data into it\nnext: dgbench data check {draft.name}\n"
        f"then: dgbench run own -d {draft.name}"
    )


def check_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="a dataset")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look for what would spoil results.

    Every picture is read. Exits with 1 if there is something to mend.
    """
    from dgbench.core.dataset_card import dataset_card
    from dgbench.data.catalogue import listing
    from dgbench.data.disk.check import check

    found = listing(name)
    with shown_bars(quiet) as bars:
        findings = check(dataset_card(name), found, Bar(bars, "checking"))
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    elif not quiet:
        _print_findings(findings)
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(1)


def _print_findings(findings: list[Finding]) -> None:
    colours = {"ok": "green", "note": "yellow", "problem": "bold red"}
    table = new_table()
    for heading in ("check", "", "found"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        colour = colours[finding.verdict]
        table.add_row(finding.check, f"[{colour}]{finding.verdict}[/]", Text(readable(finding.text)))
    screen().print(table)


def prepare_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="a dataset, or the path of its card")],
    size: Annotated[int, typer.Option(min=1, help="side of the square images, in pixels; 224 for most backbones")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes that decode; one for each CPU core by default")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Decode and resize a dataset once.

    Trainings then read it without decoding anything.
    """
    from dgbench.core.amounts import in_words
    from dgbench.core.dataset_card import dataset_card
    from dgbench.data.cache.prepare import Format, prepare
    from dgbench.data.catalogue import found

    started = time.perf_counter()
    card = dataset_card(name)
    with shown_bars(quiet) as bars:
        listing, manifest = found(name, Bar(bars, "reading"))
        show = Bar(bars, "decoding")
        prepared = prepare(listing, manifest, size, card.resize, card.decoding, workers=workers, progress=show)
    if quiet:
        return
    folder = Format(manifest, size, card.resize, card.decoding).folder
    occupied = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"{prepared.name}: {sum(map(len, prepared.domains)):,} images of {size} x {size} pixels in "
        f"{len(prepared.domains)} domains lie in {folder} ({in_words(occupied)}, {time.perf_counter() - started:.1f} s)"
    )
