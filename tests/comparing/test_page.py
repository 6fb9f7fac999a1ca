"""A comparison as a page, in a terminal and in a notebook."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from board.synthetic import picture
from browser import ask, needs_browser, violations
from comparing.made import guesses, made
from rich.console import Console

from dgbench.board.compare import Comparison
from dgbench.board.flips import most_flipped
from dgbench.board.pictures import class_names, portraits
from dgbench.board.render.compared import page, terminal
from dgbench.data.catalogue import load, outline

CLASSES = {"digits": ("zero", "one", "two", "<b>three</b>")}


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return made(guesses({"erm": 0.5, "sam": 0.62, "t3a": 0.55}))


@pytest.fixture(scope="module")
def written(compared: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        (domain, index)
        for one in compared.against
        for images in most_flipped(one.images, 18)
        for domain, index in images.select("domain", "index").iter_rows()
    ]
    drawn = {"digits": {row: picture(number) for number, row in enumerate(rows[:-3])}}
    path = tmp_path_factory.mktemp("page") / "compared.html"
    path.write_text(page.render(compared, drawn, CLASSES), encoding="utf-8")
    return path


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def test_the_page_says_the_numbers_draws_the_images_and_escapes_names(compared: Comparison, written: Path) -> None:
    html = written.read_text()
    parsed = _Text()
    parsed.feed(html)
    text = re.sub(r"\s+", " ", "".join(parsed.seen))
    assert "SAM and T3A against ERM" in text
    for one in compared.against:
        assert f"{100 * one.lead.total.mean:+.1f} ±{100 * (one.lead.total.margin or 0):.1f} points" in text.replace(
            "−", "-"
        )
    assert "<b>three</b>" in text
    assert "<b>three" not in html
    assert all(image["src"] and image["src"].startswith("data:image/png") and image["alt"] for image in parsed.images)
    shown = {
        row["sample"] for one in compared.against for half in most_flipped(one.images, 18) for row in half.to_dicts()
    }
    assert all(sample in text for sample in shown), "one that cannot be drawn is named"
    assert "http" not in re.sub(r"http-equiv", "", html)


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (500, True)])
def test_the_page_fetches_nothing_and_fits_the_screen(written: Path, width: int, dark: bool) -> None:
    too_wide, fetched, focus = ask(
        written,
        """
        const root = document.documentElement;
        return [root.scrollWidth - root.clientWidth,
                performance.getEntriesByType('resource').map(entry => entry.name),
                [...document.querySelectorAll('.scroll')].every(box => box.tabIndex === 0)];
        """,
        width=width,
        dark=dark,
    )
    assert (too_wide, fetched, focus) == (0, [], True)


@needs_browser
def test_axe_core_finds_nothing(written: Path) -> None:
    found, passed = violations(written)
    assert found == []
    assert passed > 15


def test_the_terminal_says_who_is_ahead_and_names_images(compared: Comparison) -> None:
    out = io.StringIO()
    terminal.show(compared, Console(file=out, width=120), CLASSES)
    said = out.getvalue()
    assert "SAM minus ERM" in said
    assert "T3A minus ERM" in said
    assert "after the correction for 2 comparisons" in said
    assert max(map(len, said.splitlines())) <= 120
    lost, won = most_flipped(compared.against[0].images, 3)
    assert all(sample in said for half in (lost, won) for sample in half["sample"])


def test_a_notebook_shows_a_table(compared: Comparison) -> None:
    shown = page.summary(compared)
    assert shown.count("<tr>") == 3
    assert "SAM" in shown
    assert repr(compared).startswith("<Comparison on 'quick' with ERM: SAM ")


def test_portraits_are_the_images_themselves_and_only_of_the_same_data() -> None:
    manifest = outline("digits").manifest
    assert manifest is not None
    found = portraits("digits", manifest, [("print", 3), ("print", 3), ("handwritten", 7)])
    assert set(found) == {("print", 3), ("handwritten", 7)}
    from PIL import Image

    data = load("digits")
    for (domain, row), png in found.items():
        shown = Image.open(io.BytesIO(png)).convert("RGB")
        image = data.domain(domain).inputs[row]
        factor = shown.width // image.shape[1]
        small = shown.resize((image.shape[1], image.shape[0]), Image.Resampling.NEAREST)
        assert factor >= 2, "so small an image is enlarged"
        assert (image == small).all()
    assert portraits("digits", "another", [("print", 3)]) == {}
    assert portraits("pacs", "0" * 64, [("photo", 3)]) == {}, "data that is not on this machine"
    assert class_names("digits")[3] == "3"
