"""CondCAD: features of which, given the class, a contrastive bottleneck cannot tell the domain.

Ruan, Dubois, Maddison: Optimal Representations for Covariate Shift. ICLR 2022. arXiv 2201.00057.

CAD, where each example is compared with those of its own class alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.objectives.cad import CAD
from dgbench.algorithms.step import Forward


@dataclass(frozen=True)
class CondCAD(CAD):
    """As CAD, class by class."""

    def among(self, forward: Forward) -> Tensor:
        """Which examples each is compared with, ``[n, n]``: those of its class but itself."""
        y = forward.batch.y
        return super().among(forward) & (y[:, None] == y)
