"""Judged criteria in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dgbench.board.judged import CriteriaBoard, JudgedTrack
from dgbench.board.render import text
from dgbench.board.render.criteria import words
from dgbench.core.visible import visible
from dgbench.selection.judging import CHOICES


def show(board: CriteriaBoard, console: Console) -> None:
    """Print a table for each choice, that of the correlations, and how to read them."""
    info = board.info
    heading = Text(visible(info.title), style="bold")
    console.print(heading.append(f"  version {info.version}, rules {info.rules}", style="not bold"))
    for track in board.tracks:
        _show(track, console)
    _lines(console, words.headline(board), "bold")
    _lines(console, words.notes(board), "yellow")
    _lines(console, (words.READING, words.AGAINST, words.RANKING, words.TIES), "dim")


def _show(track: JudgedTrack, console: Console) -> None:
    named, _ = text.TRACKS[track.name]
    for choice in CHOICES:
        for number, (said, group) in enumerate(words.groups(track)):
            rows = [words.row(one.criterion.title, one.choices[choice]) for one in words.placed(group, choice)]
            ends = [] if number else words.baselines(track, choice)
            console.print(_grid(f"{words.TITLES[choice]} · {named}", words.HEADER, rows, ends))
            _lines(console, [words.EXPLAINED[choice], said], "dim")
    judged = [one for _, group in words.groups(track) for one in group]
    rows = [[one.criterion.title, *words.correlated(one)] for one in judged]
    console.print(_grid("Does the score follow the accuracy?", ["Criterion", *words.CORRELATION_TITLES.values()], rows))
    _lines(console, [words.CORRELATED], "dim")


def _grid(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], ends: Iterable[Sequence[str]] = ()
) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", title_style="bold", padding=(0, 1, 0, 0)
    )
    for heading in headings:
        left = heading == "Criterion"
        table.add_column(heading, justify="left" if left else "right", no_wrap=not left, max_width=30 if left else None)
    for style, lines in (("", rows), ("dim", ends)):
        for line in lines:
            table.add_row(*(Text(visible(cell)) for cell in line), style=style)
    return table


def _lines(console: Console, lines: Iterable[str], style: str) -> None:
    for line in filter(None, lines):
        console.print(Text(visible(line), style=style))
