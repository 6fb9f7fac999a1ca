"""A diagnosis in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dgbench.board.render.diagnosed import words
from dgbench.core.visible import visible
from dgbench.diagnostics.diagnosis import Diagnosis


def show(found: Diagnosis, console: Console) -> None:
    """Print a table of domains, one of pairs, and how to read them."""
    console.print(grid(words.domain_header(found), map(words.domain_row, found.domains), found.dataset))
    if found.pairs:
        console.print(grid(words.PAIRS, map(words.pair_row, found.pairs), "Pairs of domains"))
    console.print(Text(visible(words.difficulty(found)), style="bold"))
    for line in words.contradictions(found):
        console.print(Text(visible(line), style="yellow"))
    for line in words.notes(found):
        console.print(Text(visible(line), style="dim"))


def grid(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str) -> Table:
    """A table whose first column is to the left."""
    table = Table(
        box=box.SIMPLE_HEAD, title=Text(visible(title)), title_justify="left", title_style="bold", padding=(0, 1, 0, 0)
    )
    for number, heading in enumerate(headings):
        narrow = heading.replace(" ", "\n").replace("-", "-\n")
        table.add_column(narrow if number else heading, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table
