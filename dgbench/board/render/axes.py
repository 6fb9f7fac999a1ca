"""Axes of plots: where a value lies between round ends."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.selection.statistics import ANY, SHARE, Estimate


@dataclass(frozen=True)
class Scale:
    """A linear axis: values to per cent of its length."""

    low: float
    high: float
    step: float

    @classmethod
    def over(cls, estimates: Sequence[Estimate]) -> Scale:
        """An axis over the intervals, with round ends.

        What lies far below the rest stays outside (more than five points, or a twentieth of an error, and three times
        as far below the best as the median is): one algorithm that failed would squeeze all others into a corner.
        """
        means = [e.mean for e in estimates]
        within = estimates[0].within
        least = 0.05 if within in (SHARE, ANY) else 0.05 * abs(max(means))
        floor = max(means) - max(3 * (max(means) - statistics.median(means)), least)
        ends = [end for e in estimates if e.mean >= floor for end in (e.mean, e.low, e.high) if end is not None]
        if within == ANY:
            within = SHARE
        return cls.spanning(max(min(ends), floor, within.low), min(max(ends), within.high))

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
        return [round(self.low + i * self.step, 12) for i in range(count + 1)]
