"""LAWA: the mean of the latest checkpoints.

Kaddour: Stop Wasting My Time! Saving Days of ImageNet and BERT Training with Latest Weight Averaging. 2022.
arXiv 2209.14981. Code: JeanKaddour/LAWA.

    theta = (1/k) sum of the last k checkpoints

The paper looks at it all along a training, with a checkpoint an epoch; here it is looked at at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dgbench.algorithms.averaging.averaged import Averaged
from dgbench.algorithms.slots import State, Trajectory
from dgbench.core.pieces import checkpoint
from dgbench.core.units import Count


@dataclass(frozen=True)
class LAWA(Averaged):
    """A uniform mean of the last checkpoints.

    Attributes:
        latest: k, how many; all of them where there are fewer.
        statistics: As in :class:`Averaged`.
    """

    latest: Count = 6
    statistics: Literal["average", "recompute"] = field(default="recompute", kw_only=True)

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate."""
        from dgbench.models.effective import weighted_mean

        taken = trajectory.steps[-self.latest :]
        yield taken[-1], weighted_mean((1, trajectory.at(step)) for step in taken)

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """Those checkpoints."""
        return frozenset(map(checkpoint, steps[-self.latest :]))
