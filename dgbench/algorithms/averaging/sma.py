"""SMA: the mean of the weights after every step, from some step on.

Arpit, Wang, Zhou, Xiong: Ensemble of Averages: Improving Model Selection and Boosting Performance in Domain
Generalization. NeurIPS 2022. arXiv 2110.10832.

    theta = mean of w_t over all steps t > start * steps

A simple moving average at the end of training. Nothing is chosen by validation, neither where it begins, as SWAD does,
nor which checkpoints count, as a soup. The averages of the segments between checkpoints are what it is made of, so it
begins at the first checkpoint that is not before its start; at the last segment in any case. Deviation: the paper
takes the average that is best on validation images along the training, and the ensemble of several such; here it is the
last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from dgbench.algorithms.averaging.averaged import Averaged
from dgbench.algorithms.slots import State, Trajectory
from dgbench.core import pieces
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class SMA(Averaged):
    """A uniform mean over steps.

    Attributes:
        start: Share of the steps after which weights count.
        statistics: As in :class:`Averaged`.
    """

    start: Fraction = 0.02
    statistics: Literal["average", "recompute"] = field(default="recompute", kw_only=True)

    def taken(self, steps: Sequence[int]) -> dict[int, int]:
        """Segments that count, by the steps that they end with: how many steps each has."""
        start = round(self.start * steps[-1], 9)  # .07 of 5,000 is 350, and a bit more as a product of floats
        found = {end: end - begin for begin, end in pairwise([0, *steps]) if begin >= start}
        return found or {steps[-1]: 1}

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate."""
        from dgbench.models.effective import weighted_mean

        taken = self.taken(trajectory.steps)
        yield trajectory.steps[-1], weighted_mean((count, trajectory.segment(end)) for end, count in taken.items())

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The means between checkpoints from the start on."""
        return frozenset(map(pieces.segment, self.taken(steps)))
