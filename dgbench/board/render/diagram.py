"""The critical-difference diagram: who stands where, and bars over those whom the data cannot separate.

J. Demšar: Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 2006. :func:`diagram` has mean
accuracies on the axis: no single difference is critical there, and each bar joins results of whom no two differ by
their own paired test, corrected for all pairs, as in the matrix. :func:`by_ranks` has mean ranks, and the one
difference that is critical for them, as in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgbench.board.render.axes import Scale
from dgbench.board.render.comparisons import Matrix
from dgbench.board.render.figures import SHARES, Figures

if TYPE_CHECKING:  # it takes scipy.stats, half a second that a leaderboard has no use for
    from dgbench.selection.rank_tests import RankTests

MOST = 24
"""Results that a diagram shows; with more of them its lines cannot be followed."""

_LEFT, _RIGHT, _AXIS = 230.0, 670.0, 24.0
_BAR, _LINE = 8.0, 20.0  # from one bar, and one line of text, to the next


@dataclass(frozen=True)
class Label:
    """One result.

    Attributes:
        name, title: Which, and as readers see it.
        said: Its number.
        x: Where it lies on the axis.
        y: Where its name stands.
        right: On which side: the better half stands on the right.
    """

    name: str
    title: str
    said: str
    x: float
    y: float
    right: bool


@dataclass(frozen=True)
class Diagram:
    """What is drawn, in units of a drawing that is 900 wide.

    Attributes:
        ticks: Places on the axis, with what stands there.
        labels: Every result, best first.
        bars: From where to where each goes, and how high.
        axis: How high the axis lies, and where it begins and ends.
        height: Of the drawing.
        critical: How long the difference is that is critical for all; None where each has its own.
    """

    ticks: tuple[tuple[float, str], ...]
    labels: tuple[Label, ...]
    bars: tuple[tuple[float, float, float], ...]
    axis: tuple[float, float, float]
    height: float
    critical: float | None = None


def diagram(found: Matrix, show: Figures = SHARES) -> Diagram | None:
    """The diagram of a track's pairs; None where there are too many results to be told apart."""
    if found.left_out or len(found.results) > MOST:
        return None
    scale = Scale.over([entry.accuracy for entry in found.results])
    shown = [(entry.algorithm, entry.title, show.number(entry.accuracy.mean)) for entry in found.results]
    places = [_x(scale(entry.accuracy.mean) / 100) for entry in found.results]
    ticks = tuple((_x(scale(tick) / 100), show.tick(tick)) for tick in scale.ticks)
    return _drawn(shown, places, found.groups, ticks)


def by_ranks(tests: RankTests, titles: Mapping[str, str]) -> Diagram | None:
    """The diagram of mean ranks, the best on the right; None where there are too many to be told apart.

    Args:
        tests: Of some algorithms.
        titles: As readers see them.
    """
    many = len(tests.ranks)
    if many > MOST:
        return None

    def x(rank: float) -> float:
        return _x((many - rank) / (many - 1))

    ranks = list(tests.ranks.values())
    shown = [(name, titles.get(name, name), f"{rank:.2f}") for name, rank in tests.ranks.items()]
    ticks = tuple((x(rank), str(rank)) for rank in range(many, 0, -1))
    long = (_RIGHT - _LEFT) * tests.critical / (many - 1)
    return _drawn(shown, list(map(x, ranks)), groups(ranks, tests.critical), ticks, round(long, 1))


def groups(ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """First and last place of every longest run of mean ranks, the best first, that lie within a difference."""
    found: list[tuple[int, int]] = []
    for first, best in enumerate(ranks):
        last = max(place for place, rank in enumerate(ranks) if rank - best < critical)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _x(share: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * share, 1)


def _drawn(
    shown: Sequence[tuple[str, str, str]],
    places: Sequence[float],
    joined: Sequence[tuple[int, int]],
    ticks: tuple[tuple[float, str], ...],
    critical: float | None = None,
) -> Diagram:
    """Results, the best first, with where they lie, and first and last of those that a bar joins."""
    axis = _AXIS if critical is None else _AXIS + _LINE
    bars = tuple(
        (places[last] - 4, places[first] + 4, axis + 12 + _BAR * number) for number, (first, last) in enumerate(joined)
    )
    top = axis + 26 + _BAR * len(bars)
    better = (len(places) + 1) // 2
    labels = tuple(
        Label(*one, place, top + _LINE * (number if number < better else len(places) - 1 - number), number < better)
        for number, (one, place) in enumerate(zip(shown, places, strict=True))
    )
    return Diagram(ticks, labels, bars, (axis, _LEFT, _RIGHT), top + _LINE * better, critical)
