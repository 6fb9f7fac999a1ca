"""The leaderboard as one HTML file that needs no network: styles, script, pictures and plots are inside."""

from __future__ import annotations

import base64
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import polars as pl

from dgbench.board.leaderboard import Leaderboard, Track
from dgbench.board.render import text
from dgbench.core.visible import visible
from dgbench.selection.quality import Quality
from dgbench.selection.statistics import Estimate

_PANEL = 100
"""Side of a scatter plot, in the units of its view box."""


def render(board: Leaderboard) -> str:
    """The whole leaderboard as one page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dgbench.board.render"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    reference = next((entry for entry in board.entries if entry.algorithm == board.info.reference), None)
    return environment.get_template("leaderboard.html").render(
        board=board,
        info=board.info,
        text=text,
        entries=board.entries,
        reference=reference,
        scale=Scale.over([entry.accuracy for entry in board.entries]),
        scatter=scatter,
        pictures={name: _data_uri(board.pictures[name]) for name in board.info.domains if name in board.pictures},
    )


def _finalize(value: Any) -> Any:
    """What an expression of the template comes to, before it is escaped."""
    return visible(value) if type(value) is str else value


@dataclass(frozen=True)
class Scale:
    """A linear axis: values to per cent of its length."""

    low: float
    high: float
    step: float

    @classmethod
    def over(cls, estimates: Sequence[Estimate]) -> Scale:
        """An axis over the intervals, with round ends.

        What lies far below the rest stays outside (more than five points, and three times as far below the best as
        the median is): one algorithm that failed would squeeze all others into a corner.
        """
        means = [e.mean for e in estimates]
        floor = max(means) - max(3 * (max(means) - statistics.median(means)), 0.05)
        ends = [end for e in estimates if e.mean >= floor for end in (e.mean, e.low, e.high) if end is not None]
        return cls.spanning(max(min(ends), floor, 0.0), min(max(ends), 1.0))

    @classmethod
    def spanning(cls, low: float, high: float) -> Scale:
        """An axis from ``low`` to ``high``, at least 0.01 long, with ends at whole steps of 1, 2 or 5 times 10^k."""
        middle, half = (low + high) / 2, max((high - low) / 2, 0.005)
        low, high = middle - half, middle + half
        rough = half / 2
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        return cls(round(first * step, 12), round(last * step, 12), step)

    def __call__(self, value: float) -> float:
        """Position of a value, from 0 to 100; values beyond the ends stay at the ends."""
        return round(min(max(100 * (value - self.low) / (self.high - self.low), 0.0), 100.0), 2)

    @property
    def ticks(self) -> list[float]:
        """Values to label, the ends included."""
        count = round((self.high - self.low) / self.step)
        return [self.low + i * self.step for i in range(count + 1)]


def scatter(track: Track, domains: tuple[str, ...]) -> list[dict[str, Any]]:
    """One panel for each criterion: score against accuracy on the target, a dot for each candidate.

    All panels share the vertical axis. Dots are zero-length strokes of one path for each domain, and dots that fall
    on the same spot are drawn once, so a board with thousands of candidates stays a small file.
    """
    accuracies = pl.concat([quality.points["accuracy"] for quality in track.qualities])
    vertical = Scale.spanning(_least(accuracies), _most(accuracies))
    return [_panel(quality, vertical, domains) for quality in track.qualities]


def _panel(quality: Quality, vertical: Scale, domains: tuple[str, ...]) -> dict[str, Any]:
    points = quality.points.filter(pl.col("score").is_finite())
    horizontal = Scale.spanning(_least(points["score"]), _most(points["score"])) if points.height else vertical
    paths = []
    for number, domain in enumerate(domains):
        rows = points.filter(pl.col("target") == domain).select("score", "accuracy").iter_rows()
        dots = sorted({(round(horizontal(x), 1), round(_PANEL - vertical(y), 1)) for x, y in rows})
        paths.append({"number": number, "d": "".join(f"M{x:g} {y:g}h0" for x, y in dots)})
    return {"quality": quality, "horizontal": horizontal, "vertical": vertical, "paths": paths}


def _least(values: pl.Series) -> float:
    return float(min(values.to_list()))


def _most(values: pl.Series) -> float:
    return float(max(values.to_list()))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
