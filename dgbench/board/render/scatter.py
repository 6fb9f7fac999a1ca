"""Plots with one dot for each algorithm that says whose it is: target against source, accuracy against cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dgbench.board.leaderboard import Entry, Leaderboard
from dgbench.board.render.axes import Scale
from dgbench.board.render.figures import SHARES, Figures
from dgbench.board.render.text import figures, signed
from dgbench.core.amounts import duration
from dgbench.selection import line as on_line

WIDTH, HEIGHT = 200.0, 110.0
"""Of a plot without its labels, in the units of its view box."""
_LINE, _LETTER = 3.9, 2.2
"""Height of a label and mean width of its letters, in the same units."""
_LABELLED = 30
"""With more algorithms than this the dots say their names only when they are pointed at, or reached by key."""


@dataclass(frozen=True)
class Mark:
    """What a dot stands for.

    Attributes:
        name, title: Of an algorithm, or of what else it is.
        x, y: Its values, as the axes take them.
        said: Its numbers, in words.
        online: Whether it belongs to the online track.
    """

    name: str
    title: str
    x: float
    y: float
    said: str
    online: bool = False


@dataclass(frozen=True)
class Dot:
    """One algorithm.

    Attributes:
        algorithm, title: Whose it is.
        x, y: Where, in the view box.
        said: Its numbers, in words.
        label: Where its name stands, if that is drawn, and which of its ends is there.
        online: Whether it belongs to the online track.
    """

    algorithm: str
    title: str
    x: float
    y: float
    said: str
    label: tuple[float, float, str] | None
    online: bool


@dataclass(frozen=True)
class Plot:
    """Dots between axes.

    Attributes:
        dots: One for each algorithm.
        horizontal, vertical: Ticks: where, and what stands there.
        line: A fitted line, by its two ends.
        caption: What is seen, for all readers.
        axes: What the horizontal and the vertical axis say.
    """

    dots: tuple[Dot, ...]
    horizontal: tuple[tuple[float, str], ...]
    vertical: tuple[tuple[float, str], ...]
    line: tuple[float, float, float, float] | None
    caption: str
    axes: tuple[str, str]


def on_the_line(board: Leaderboard) -> Plot | None:
    """Accuracy on the target against accuracy on the source, both on a probit scale, with the line fitted through.

    See :mod:`dgbench.selection.line`. None where fewer algorithms have a gap than a line needs, or values are
    predicted: the scale is one of shares.
    """
    if board.info.headline.of == "values":
        return None
    known = [(entry, entry.on_source) for entry in board.entries if entry.on_source is not None]
    if len(known) < on_line.LEAST:
        return None
    entries, sources = [entry for entry, _ in known], [source for _, source in known]
    targets = [entry.accuracy.mean for entry in entries]
    across, up = Axis.of_shares(sources, _probit), Axis.of_shares(targets, _probit)
    line = on_line.fit(sources, targets)
    above = line.robustness(sources, targets).tolist() if line else [None] * len(sources)
    said = [
        f"{100 * x:.1f} % on the source, {100 * y:.1f} % on the target"
        + ("" if more is None else f", {signed(more)} points off the line")
        for x, y, more in zip(sources, targets, above, strict=True)
    ]
    caption = "Source accuracies do not differ, so no line is fitted."
    if line:
        caption = (
            f"The line is fitted on the probit scale: slope {line.slope:.2f}, intercept {line.intercept:.2f}, "
            f"R² {line.r2:.2f} over {line.n} algorithms."
        ).replace("-", "−")
    axes = ("accuracy on held-out source images, %", "accuracy on the target, %")
    drawn = _through(line.slope, line.intercept, across, up) if line else None
    values = list(zip(map(_probit, sources), map(_probit, targets), strict=True))
    return _plot(board, entries, values, said, across, up, drawn, caption, axes)


def by_cost(board: Leaderboard) -> Plot | None:
    """Accuracy against the seconds of one training; None where fewer than two algorithms cost anything."""
    entries = [entry for entry in board.entries if entry.cost.train > 0]
    if len(entries) < 2:
        return None
    seconds = [entry.cost.train for entry in entries]
    reached = [entry.accuracy.mean for entry in entries]
    show = figures(board)
    across, up = Axis.of_seconds(seconds), Axis.of_shares(reached, lambda share: share, show)
    said = [f"{show.number(e.accuracy.mean)}{show.sign} for {duration(e.cost.train)} of training" for e in entries]
    measured = "accuracy on the target, %" if show.shares else f"{show.measure.title} on the target{show.within}"
    axes = ("one training (logarithmic)", measured)
    return _plot(
        board, entries, list(zip(map(math.log10, seconds), reached, strict=True)), said, across, up, None, "", axes
    )


@dataclass(frozen=True)
class Axis:
    """From the least to the greatest value with a little room beside; ticks by value, with what they say."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def of_shares(cls, shares: Sequence[float], scale: Callable[[float], float], show: Figures = SHARES) -> Axis:
        """An axis on which shares, or what else ranks, stand where the scale puts them."""
        low, high = _room([scale(share) for share in shares], least=0.02)
        inside = [tick for tick in Scale.spanning(min(shares), max(shares)).ticks if low <= scale(tick) <= high]
        return cls(low, high, tuple((scale(tick), show.tick(tick)) for tick in inside))

    @classmethod
    def of_seconds(cls, seconds: Sequence[float]) -> Axis:
        """A logarithmic axis."""
        low, high = _room([math.log10(each) for each in seconds], least=0.2)
        marks = [factor * 10.0**power for power in range(-4, 9) for factor in (1, 2, 5)]
        inside = [mark for mark in marks if low <= math.log10(mark) <= high]
        return cls(low, high, tuple((math.log10(mark), duration(mark)) for mark in inside[:: -(-len(inside) // 7)]))

    def __call__(self, value: float) -> float:
        """Where a value lies, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def _room(values: Sequence[float], least: float) -> tuple[float, float]:
    margin = max(0.06 * (max(values) - min(values)), least)
    return min(values) - margin, max(values) + margin


def _probit(share: float) -> float:
    return float(on_line.probit(share))


def _through(slope: float, offset: float, across: Axis, up: Axis) -> tuple[float, float, float, float] | None:
    """The part of a line that lies in the plot, in the view box."""
    ends = [across.low, across.high]
    if slope:
        low, high = sorted(((up.low - offset) / slope, (up.high - offset) / slope))
        ends = [max(across.low, low), min(across.high, high)]
    if ends[0] >= ends[1]:
        return None
    (x1, y1), (x2, y2) = ((WIDTH * across(x), HEIGHT * (1 - up(offset + slope * x))) for x in ends)
    return round(x1, 1), round(y1, 1), round(x2, 1), round(y2, 1)


def _plot(
    board: Leaderboard,
    entries: Sequence[Entry],
    values: Sequence[tuple[float, float]],
    said: Sequence[str],
    across: Axis,
    up: Axis,
    line: tuple[float, float, float, float] | None,
    caption: str,
    axes: tuple[str, str],
) -> Plot:
    online = {entry.algorithm for track in board.tracks if track.name == "online" for entry in track.entries}
    marks = [
        Mark(entry.algorithm, entry.title, x, y, f"{entry.title}: {words}", entry.algorithm in online)
        for entry, (x, y), words in zip(entries, values, said, strict=True)
    ]
    return plotted(marks, across, up, axes, line, caption)


def plotted(
    marks: Sequence[Mark],
    across: Axis,
    up: Axis,
    axes: tuple[str, str],
    line: tuple[float, float, float, float] | None = None,
    caption: str = "",
) -> Plot:
    """Marks as dots whose names stand beside them, if they are few.

    Args:
        marks: What is shown.
        across, up: The two axes.
        axes: What they say.
        line: A fitted line, by its two ends in the view box.
        caption: What is seen.
    """
    places = [(round(WIDTH * across(mark.x), 1), round(HEIGHT * (1 - up(mark.y)), 1)) for mark in marks]
    labels: list[tuple[float, float, str] | None] = [None] * len(places)
    if len(marks) <= _LABELLED:
        labels = list(_beside(places, [mark.title for mark in marks]))
    dots = tuple(
        Dot(mark.name, mark.title, x, y, mark.said, label, mark.online)
        for mark, (x, y), label in zip(marks, places, labels, strict=True)
    )
    horizontal = tuple((round(WIDTH * across(value), 1), name) for value, name in across.ticks)
    vertical = tuple((round(HEIGHT * (1 - up(value)), 1), name) for value, name in up.ticks)
    return Plot(dots, horizontal, vertical, line, caption, axes)


def _beside(places: Sequence[tuple[float, float]], titles: Sequence[str]) -> list[tuple[float, float, str]]:
    """Where names stand: to the right of their dots, moved up or down until they cover neither a name nor a dot."""
    taken = [(x - 2.0, y - 2.0, x + 2.0, y + 2.0) for x, y in places]
    found = {}
    for number in sorted(range(len(places)), key=lambda n: places[n][1]):
        x, y = places[number]
        wide = _LETTER * len(titles[number])
        shifts = sorted((step * _LINE / 2 for step in range(-16, 17)), key=abs)
        boxes = [
            (left, y + shift - _LINE / 2, left + wide, y + shift + _LINE / 2)
            for shift in shifts
            for left in ((x + 3.0, x - 3.0 - wide) if abs(shift) < _LINE else (x + 5.0, x - 5.0 - wide))
        ]
        inside = [
            box for box in boxes if box[0] >= 0 and box[2] <= WIDTH + 25 and box[1] >= -4 and box[3] <= HEIGHT + 2
        ]
        free = next((box for box in inside if not any(_overlap(box, other) for other in taken)), boxes[0])
        taken.append(free)
        begins = free[0] > x
        found[number] = (round(free[0 if begins else 2], 1), round(free[3] - 1.2, 1), "start" if begins else "end")
    return [found[number] for number in range(len(places))]


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
