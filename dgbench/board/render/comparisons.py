"""Who differs from whom: the matrix of a track's pairs, and the groups in which nobody differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.board.leaderboard import Entry, Track
from dgbench.selection.statistics import Estimate

MOST = 40
"""Results that a matrix shows, the best of them; a file has all pairs."""


@dataclass(frozen=True)
class Cell:
    """One result against another.

    Attributes:
        difference: Accuracy of the row's minus accuracy of the column's.
        p: After the correction over all pairs of the track.
        verdict: ``better`` or ``worse`` where the data show it, else ``even``.
    """

    difference: Estimate
    p: float
    verdict: str


@dataclass(frozen=True)
class Matrix:
    """The results of a track, each against each.

    Attributes:
        results: In the order of the table, at most ``MOST``.
        rows: For each result its cells; None where it meets itself.
        groups: First and last place of every longest run of results of whom no two differ.
        left_out: How many results are not shown.
    """

    results: tuple[Entry, ...]
    rows: tuple[tuple[Cell | None, ...], ...]
    groups: tuple[tuple[int, int], ...]
    left_out: int


def matrix(track: Track) -> Matrix | None:
    """The pairs of a track; None where there is no pair."""
    if not track.pairs:
        return None
    cells: dict[tuple[str, str], Cell] = {}
    for pair in track.pairs:
        verdicts = {None: ("even", "even"), pair.first: ("better", "worse"), pair.second: ("worse", "better")}
        forth, back = verdicts[pair.better]
        cells[pair.first, pair.second] = Cell(pair.difference, pair.p, forth)
        cells[pair.second, pair.first] = Cell(-pair.difference, pair.p, back)
    compared = {name for pair in track.pairs for name in (pair.first, pair.second)}
    ranked = [entry for entry in track.entries if entry.algorithm in compared]
    shown = tuple(ranked[:MOST])
    rows = tuple(tuple(cells.get((row.algorithm, other.algorithm)) for other in shown) for row in shown)
    return Matrix(shown, rows, tuple(_groups(rows)), len(ranked) - len(shown))


def _groups(rows: Sequence[Sequence[Cell | None]]) -> list[tuple[int, int]]:
    """The longest runs of neighbours in which no two differ, but for those of one."""
    found: list[tuple[int, int]] = []
    first = 0
    for last in range(len(rows)):
        while any(cell is not None and cell.verdict != "even" for cell in rows[last][first:last]):
            first += 1
        if last > first:
            if found and found[-1][0] == first:
                found.pop()
            found.append((first, last))
    return found
