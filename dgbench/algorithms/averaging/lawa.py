"""LAWA: the mean of the latest checkpoints.

Kaddour: Stop Wasting My Time! Saving Days of ImageNet and BERT Training with Latest Weight Averaging. 2022.
arXiv 2209.14981. Code: JeanKaddour/LAWA.

    theta = (1/k) sum of the last k checkpoints

The paper looks at it all along a training, with a checkpoint an epoch; here it is looked at at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.averaging.mean_of_checkpoints import MeanOfCheckpoints
from dgbench.core.units import Count


@dataclass(frozen=True)
class LAWA(MeanOfCheckpoints):
    """A uniform mean of the last checkpoints.

    Attributes:
        latest: k, how many; all of them where there are fewer.
    """

    latest: Count = 6

    def taken(self, steps: Sequence[int]) -> Sequence[int]:
        """The last of them."""
        return steps[-self.latest :]
