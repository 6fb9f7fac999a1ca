"""A comparison in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dgbench.board.compare import Against, Comparison
from dgbench.board.flips import most_flipped
from dgbench.board.render import text
from dgbench.board.render.compared import words
from dgbench.core.visible import visible

_IMAGES = 3
"""Of each direction that are named; the page shows more, and draws them."""


def show(comparison: Comparison, console: Console, classes: Mapping[str, Sequence[str]]) -> None:
    """Print a table for each algorithm that is compared with the first, and how to read them.

    Args:
        comparison: What is shown.
        console: Where.
        classes: Names of the classes of each dataset; numbers stand for those that are not there.
    """
    info = comparison.board.info
    heading = Text(visible(info.title), style="bold")
    console.print(heading.append(f"  selected by {comparison.board.criterion.title}", style="not bold"))
    for one in comparison.against:
        console.print(_table(comparison, one))
        console.print(Text(visible(words.headline(comparison, one)), style="bold"))
        _lines(console, words.warnings(comparison, one), "yellow")
        if absent := words.absent(comparison, one):
            _lines(console, [absent], "yellow")
        _images(console, comparison, one, classes)
    console.print(_grid(words.cost_header(comparison), words.costs(comparison), "Cost"))
    notes = [*text.meant(comparison.board), words.paired(comparison), words.one_of(comparison), words.cost(comparison)]
    if any(one.flips for one in comparison.against):
        notes.insert(2, words.FLIPS)
    _lines(console, notes, "dim")


def _table(comparison: Comparison, one: Against) -> Table:
    first, second = comparison.first.title, one.entry.title
    headings = ["Target", first, second, "Difference", "n", "Won–tied–lost"]
    flips = [f"Only {first}\nright", f"Only {second}\nright", "Both\nright", "Both\nwrong", "McNemar p\nby trial"]
    rows, show = [], text.figures(comparison.board)
    for row in words.rows(comparison, one):
        reached = [show.number(estimate.mean) for estimate in (row.first, row.second)]
        cells = [row.target, *reached, show.with_margin(row.lead, sign=True), str(row.lead.n), row.won]
        if one.flips:
            both, alone, other, neither = row.counts or ("–",) * 4
            cells += [*map(str, (alone, other, both, neither)), row.p]
        rows.append(cells)
    return _grid(headings + (flips if one.flips else []), rows, f"{second} minus {first}")


def _grid(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str) -> Table:
    style = {"title_justify": "left", "title_style": "bold", "padding": (0, 1, 0, 0)}
    table = Table(box=box.SIMPLE_HEAD, title=Text(visible(title)), **style)  # type: ignore[arg-type]
    for number, heading in enumerate(headings):
        shown = "\n".join(map(visible, heading.split("\n")))
        table.add_column(Text(shown), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row), style="bold" if row[0] == words.ALL else "")
    return table


def _images(console: Console, comparison: Comparison, one: Against, classes: Mapping[str, Sequence[str]]) -> None:
    first, second = comparison.first.title, one.entry.title
    lost, won = most_flipped(one.images, _IMAGES) if one.flips else (pl.DataFrame(), pl.DataFrame())
    for who, images in ((second, won), (first, lost)):
        if images.height:
            console.print(Text(visible(f"Images that {who} alone gets right most often"), style="bold"))
        for image in images.iter_rows(named=True):
            named = words.image(image, classes.get(image["dataset"], ()))
            line = (
                f"  {image['target']}, {image['sample']}: {named.label}; {first} said {named.first}, {second} said "
                f"{named.second}"
            )
            console.print(Text(visible(line)))


def _lines(console: Console, lines: Iterable[str], style: str) -> None:
    for line in lines:
        console.print(Text(visible(line), style=style))
