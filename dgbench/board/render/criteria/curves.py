"""What searches of growing size are expected to pick, drawn: a line for each criterion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.board.judged import JudgedTrack
from dgbench.board.render import text
from dgbench.board.render.axes import Scale
from dgbench.board.render.candidates import COLOURS
from dgbench.board.render.criteria.words import groups
from dgbench.selection.judging import Choice
from dgbench.selection.statistics import Estimate

WIDTH, HEIGHT = 200.0, 110.0
"""Of a plot without its labels, in the units of its view box."""
_LETTERS = 4.4
"""From one label to the next, in the same units."""
_TICKS = 10
"""Sizes of a search that are labelled, at most."""


@dataclass(frozen=True)
class Line:
    """One criterion, or a baseline.

    Attributes:
        title: What it is.
        said: Where it begins and ends, in words.
        points: Of a polyline, in the view box.
        looks: Classes of its style.
        end: How high it ends.
        label: How high its name stands, right of the plot.
    """

    title: str
    said: str
    points: str
    looks: str
    end: float
    label: float


@dataclass(frozen=True)
class Curves:
    """Lines between axes.

    Attributes:
        lines: The baselines last.
        horizontal, vertical: Ticks: where, and what stands there.
    """

    lines: tuple[Line, ...]
    horizontal: tuple[tuple[float, str], ...]
    vertical: tuple[tuple[float, str], ...]


def curves(track: JudgedTrack, choice: Choice) -> Curves | None:
    """The curves of a choice; None where there is nothing to search."""
    named = [
        (one.criterion.title, one.choices[choice].searches, f"c{number % COLOURS} d{number // COLOURS % 3}")
        for _, group in groups(track)
        for number, one in enumerate(group)
    ]
    named += [
        ("the best", track.best[choice].searches, "bound"),
        ("at random", track.blind[choice].searches, "bound"),
    ]
    most = len(named[0][1])
    if most < 2:
        return None
    means = [estimate.mean for _, searches, _ in named for estimate in searches]
    up = Scale.spanning(min(means), max(means))

    def across(size: int) -> float:
        return round(WIDTH * (size - 1) / (most - 1), 1)

    def height(share: float) -> float:
        return round(HEIGHT * (1 - up(share) / 100), 1)

    ends = [height(searches[-1].mean) for _, searches, _ in named]
    lines = tuple(
        Line(
            title,
            _said(title, searches),
            " ".join(f"{across(size):g},{height(found.mean):g}" for size, found in enumerate(searches, 1)),
            looks,
            end,
            label,
        )
        for (title, searches, looks), end, label in zip(named, ends, _apart(ends), strict=True)
    )
    step = -(-most // _TICKS)
    sizes = sorted({1, *range(step, most + 1, step)})
    return Curves(
        lines,
        tuple((across(size), str(size)) for size in sizes),
        tuple((height(tick), f"{100 * tick:.4g}") for tick in up.ticks),
    )


def _said(title: str, searches: Sequence[Estimate]) -> str:
    first, last = searches[0].mean, searches[-1].mean
    return f"{title}: {text.percent(first)} % among 1, {text.percent(last)} % among {len(searches)}"


def _apart(heights: Sequence[float]) -> list[float]:
    """Where labels stand so that none covers another: as near to their lines as can be, from above."""
    order = sorted(range(len(heights)), key=lambda number: heights[number])
    found, below = [0.0] * len(heights), -_LETTERS
    spare = max(0.0, _LETTERS * (len(heights) - 1) - HEIGHT)
    for left, number in zip(range(len(heights) - 1, -1, -1), order, strict=True):
        lowest = HEIGHT + spare - _LETTERS * left  # so that those that are left have room
        below = max(below + _LETTERS, min(heights[number], lowest))
        found[number] = round(below, 1)
    return found
