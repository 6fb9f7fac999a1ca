"""SWA: the mean of the checkpoints of the last part of training.

Izmailov, Podoprikhin, Garipov, Vetrov, Wilson: Averaging Weights Leads to Wider Optima and Better Generalization.
UAI 2018. arXiv 1803.05407.

    theta = mean of w_t over the checkpoints t > start * steps

The paper trains on, at a constant or a cyclical rate, after three quarters of the steps, takes one checkpoint an epoch
(or one where a cycle's rate is lowest), and estimates the statistics of batch normalisation again. Deviation: the rate
is whatever the recipe's optimizer makes of it, so that a training is shared with other ways to average it; where it
falls to 0 the checkpoints differ little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dgbench.algorithms.averaging.averaged import Averaged
from dgbench.algorithms.slots import State, Trajectory
from dgbench.core.pieces import checkpoint
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class SWA(Averaged):
    """A uniform mean of checkpoints.

    Attributes:
        start: Share of the steps after which checkpoints count; the last always does.
        statistics: As in :class:`Averaged`; the paper recomputes.
    """

    start: Fraction = 0.75
    statistics: Literal["average", "recompute"] = field(default="recompute", kw_only=True)

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate."""
        from dgbench.models.effective import weighted_mean

        taken = self._taken(trajectory.steps)
        yield taken[-1], weighted_mean((1, trajectory.at(step)) for step in taken)

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The checkpoints that count."""
        return frozenset(map(checkpoint, self._taken(steps)))

    def _taken(self, steps: Sequence[int]) -> list[int]:
        return [step for step in steps if step > self.start * steps[-1]] or [steps[-1]]
