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

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.averaging.mean_of_checkpoints import MeanOfCheckpoints
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class SWA(MeanOfCheckpoints):
    """A uniform mean of checkpoints.

    Attributes:
        start: Share of the steps after which checkpoints count; the last always does.
    """

    start: Fraction = 0.75

    def taken(self, steps: Sequence[int]) -> Sequence[int]:
        """Those after the start, the last in any case."""
        return [step for step in steps if step > self.start * steps[-1]] or [steps[-1]]
