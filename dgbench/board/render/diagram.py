"""The critical-difference diagram of a track: who stands where, and bars over those whom the data cannot separate.

J. Demšar: Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 2006, with mean accuracies on the axis
in place of mean ranks. No single difference is critical here: each bar joins results of whom no two differ by their own
paired test, corrected for all pairs, as in the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.board.leaderboard import Entry
from dgbench.board.render.axes import Scale
from dgbench.board.render.comparisons import Matrix

MOST = 24
"""Results that a diagram shows; with more of them its lines cannot be followed."""

_LEFT, _RIGHT, _AXIS = 230.0, 670.0, 24.0
_BAR, _LINE = 8.0, 20.0  # from one bar, and one line of text, to the next


@dataclass(frozen=True)
class Label:
    """One result.

    Attributes:
        entry: Which.
        x: Where its mean lies on the axis.
        y: Where its name stands.
        right: On which side: the better half stands on the right.
    """

    entry: Entry
    x: float
    y: float
    right: bool


@dataclass(frozen=True)
class Diagram:
    """What is drawn, in units of a drawing that is 900 wide.

    Attributes:
        ticks: Places on the axis, with the accuracy that each stands for.
        labels: Every result, best first.
        bars: From where to where each goes, and how high.
        axis: How high the axis lies, and where it begins and ends.
        height: Of the drawing.
    """

    ticks: tuple[tuple[float, float], ...]
    labels: tuple[Label, ...]
    bars: tuple[tuple[float, float, float], ...]
    axis: tuple[float, float, float]
    height: float


def diagram(found: Matrix) -> Diagram | None:
    """The diagram of a track's pairs; None where there are too many results to be told apart."""
    if found.left_out or len(found.results) > MOST:
        return None
    scale = Scale.over([entry.accuracy for entry in found.results])

    def x(accuracy: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * scale(accuracy) / 100, 1)

    places = [x(entry.accuracy.mean) for entry in found.results]
    bars = tuple(
        (places[last] - 4, places[first] + 4, _AXIS + 12 + _BAR * number)
        for number, (first, last) in enumerate(found.groups)
    )
    top = _AXIS + 26 + _BAR * len(bars)
    better = (len(places) + 1) // 2
    labels = tuple(
        Label(entry, place, top + _LINE * (number if number < better else len(places) - 1 - number), number < better)
        for number, (entry, place) in enumerate(zip(found.results, places, strict=True))
    )
    ticks = tuple((x(tick), tick) for tick in scale.ticks)
    return Diagram(ticks, labels, bars, (_AXIS, _LEFT, _RIGHT), top + _LINE * better)
