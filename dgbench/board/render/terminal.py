"""The leaderboard in a terminal: 120 columns with one for each target, 80 without."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from dgbench.board.leaderboard import Leaderboard, Track
from dgbench.board.power import Powered
from dgbench.board.rankings import Ranking
from dgbench.board.render import measures, power, selected, text
from dgbench.board.render.figures import SHARES, Figures
from dgbench.board.selected import Selection
from dgbench.core.visible import visible

_FIXED, _EACH = 72, 12
"""Columns that the table takes without targets and for each of them; the other renderings have them all."""
_WIDE = 110
"""Columns that a table of chosen models takes; a narrower one says less."""


def show(board: Leaderboard, console: Console) -> None:
    """Print the tables of every track, and how to read them."""
    info = board.info
    heading = Text(visible(info.title), style="bold")
    console.print(heading.append(f"  version {info.version}, rules {info.rules}", style="not bold"))
    show_tables(board, console)
    backbones = dict.fromkeys(text.backbone(track) for track in board.tracks)
    reading = [
        text.selection(board),
        *backbones,
        text.RANKING,
        text.ADJUSTED,
        text.in_units(board, text.ACCURACY),
        text.gap(board),
        f"* {text.CEILING}",
    ]
    _lines(console, reading, "dim")
    _lines(console, text.notes(board), "yellow")


def shown(board: Leaderboard, console: Console) -> str:
    """What :func:`show` prints there."""
    with console.capture() as captured:
        show(board, console)
    return captured.get()


def show_tables(board: Leaderboard, console: Console) -> None:
    """Print the table of every track, and what a reader must know before believing it."""
    for track in board.tracks:
        console.print(_table(board, track, console.width))
        _lines(console, text.warnings(board, track), "yellow")


def show_ranking(ranking: Ranking, console: Console) -> None:
    """Print the tables of every track by another measure, and what it is."""
    info = ranking.board.info
    heading = Text(visible(f"{info.title}, by {ranking.measure.title}"), style="bold")
    console.print(heading.append(f"  version {info.version}, rules {info.rules}", style="not bold"))
    domains = _domains(ranking.board, console.width)
    for track, places in ranking.tracks.items():
        table = _empty(track, measures.header(ranking, domains))
        for place in places:
            cells = (Text(visible(cell)) for cell in measures.row(place, ranking, domains))
            table.add_row(*cells, style="" if place.rank else "dim")
        console.print(table)
    _lines(console, measures.lacking(ranking), "yellow")
    _lines(console, [measures.caption(ranking), text.RANKING, text.ADJUSTED], "dim")


def show_selection(selection: Selection, console: Console) -> None:
    """Print a table of chosen models for each algorithm, and how to read them."""
    heading = Text(visible(selection.board), style="bold")
    console.print(heading.append(f"  selected by {selection.criterion.title}", style="not bold"))
    headings = selected.HEADER if console.width >= _WIDE else selected.BRIEF
    for title, rows in selected.tables(selection):
        table = _grid(title)
        for name in headings:
            folds, known = name in ("Target", "Chosen by"), "dim" if name in selected.LABELLED else ""
            side: JustifyMethod = "left" if folds or name == "Run" else "right"
            table.add_column(name, justify=side, no_wrap=not folds, overflow="fold", style=known)
        for row in rows:
            shown = (row.cells[selected.HEADER.index(name)] for name in headings)
            table.add_row(*(Text(visible(cell)) for cell in shown), style="" if row.chosen else "dim")
        console.print(table)
    _lines(console, selected.warnings(selection), "yellow")
    by = selection.criterion
    reading = [selected.agreement(selection), f"{by.title}: {by.description}", selected.READING]
    reading += [selected.UNLABELLED, selected.REACHED]
    _lines(console, reading, "dim")


def show_power(title: str, compared: Sequence[Powered], console: Console, show: Figures = SHARES) -> None:
    """Print how many trials comparisons need, and how to read that."""
    table = _grid(title)
    for heading in power.HEADER:
        left = heading == "Pair"
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for one in compared:
        table.add_row(*(Text(visible(cell)) for cell in power.row(one, show)))
    console.print(table)
    _lines(console, (line.replace(", in points", show.apart) for line in power.READING), "dim")


def _domains(board: Leaderboard, width: int) -> tuple[str, ...]:
    """The targets that have a column."""
    return board.info.domains if _FIXED + _EACH * len(board.info.domains) <= width else ()


def _table(board: Leaderboard, track: Track, width: int) -> Table:
    domains = _domains(board, width)
    # The oracle comes last, and lines are short here.
    table = _empty(track.name, text.header(board, domains)[:-1])
    for entry in track.entries:
        cells = text.row(entry, board, domains)[:-1]
        table.add_row(*(Text(visible(cell)) for cell in cells), style="" if entry.rank else "dim")
    return table


def _empty(track: str, headings: Iterable[str]) -> Table:
    title, _ = text.TRACKS[track]
    table = _grid(title)
    for heading in headings:
        left = heading == "Algorithm"
        # a name breaks at its own hyphens, so that many domains fit beside each other
        broken = visible(heading).replace("-", "-\n").replace("_", "_\n")
        ceiling = heading == "Ceiling*"
        table.add_column(
            Text(broken),
            justify="left" if left else "right",
            no_wrap=not left,
            overflow="fold",
            max_width=28 if left else None,
            style="dim" if ceiling else "",
            header_style="dim" if ceiling else "bold",
        )
    return table


def _grid(title: str) -> Table:
    heading = Text(visible(title))
    return Table(box=box.SIMPLE_HEAD, title=heading, title_justify="left", title_style="bold", padding=(0, 1, 0, 0))


def _lines(console: Console, lines: Iterable[str], style: str) -> None:
    for line in lines:
        console.print(Text(visible(line), style=style))
