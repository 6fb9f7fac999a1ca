"""The leaderboard in a terminal: 120 columns with one for each target, 80 without."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dgbench.board.leaderboard import Leaderboard, Track
from dgbench.board.render import text

_FIXED, _EACH = 72, 12
"""Columns that the table takes without targets and for each of them; the other renderings have them all."""


def show(board: Leaderboard, console: Console) -> None:
    """Print the tables of every track, and how to read them."""
    info = board.info
    console.print(f"[bold]{escape(info.title)}[/]  version {info.version}, rules {info.rules}", highlight=False)
    for track in board.tracks:
        console.print(_table(board, track, console.width))
        _lines(console, text.warnings(board, track), "yellow")
    _lines(console, [text.selection(board), text.RANKING, text.ACCURACY, text.GAP, f"* {text.ORACLE}"], "dim")
    _lines(console, [text.absent(board)] if board.absent else [], "yellow")


def _table(board: Leaderboard, track: Track, width: int) -> Table:
    title, _ = text.TRACKS[track.name]
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", padding=(0, 1, 0, 0))
    domains = board.info.domains if _FIXED + _EACH * len(board.info.domains) <= width else ()
    for heading in text.header(board, domains):
        left = heading == "Algorithm"
        # a name breaks at its own hyphens, so that many domains fit beside each other
        broken = heading.replace("-", "-\n").replace("_", "_\n")
        oracle = heading.startswith("Oracle")
        table.add_column(
            escape(broken),
            justify="left" if left else "right",
            no_wrap=not left,
            overflow="fold",
            max_width=28 if left else None,
            style="dim" if oracle else "",
            header_style="dim" if oracle else "bold",
        )
    for entry in track.entries:
        table.add_row(*map(escape, text.row(entry, domains)), style="" if entry.rank else "dim")
    return table


def _lines(console: Console, lines: list[str], style: str) -> None:
    for line in lines:
        console.print(escape(line), style=style, highlight=False)
