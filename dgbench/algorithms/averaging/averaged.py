"""What averages of weights share: batch normalisation has no weights' worth of statistics for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from dgbench.algorithms.slots import Averaging, Ground


@dataclass(frozen=True, kw_only=True)
class Averaged(Averaging):
    """Weights that no training step has seen.

    Attributes:
        statistics: Of batch normalisation, where training moves them: the ``average`` of the running ones, or
            ``recompute`` to estimate them again with the averaged weights (``dgbench/train/norm_statistics.py``).
    """

    statistics: Literal["average", "recompute"] = "average"

    def recomputes(self) -> bool:
        """As ``statistics`` says."""
        return self.statistics == "recompute"

    def acts_on(self) -> frozenset[Ground]:
        """There is something to estimate only where batches normalise and their statistics move."""
        return frozenset({"batch statistics"} if self.recomputes() else ())

    def reduced(self) -> Self:
        """The same weights."""
        return replace(self, statistics="average")
