"""What objectives share that draw features of domains together by a distance: CORAL, MMD, CausIRL."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class Aligned(Objective):
    """Mean risk plus a distance of features.

    Attributes:
        penalty_weight: Weight of the distance.
    """

    penalty_weight: NonNegative = 1.0

    def serves(self) -> frozenset[Targets]:
        """Risks are of any loss."""
        return frozenset({"classes", "values"})

    def acts_on(self) -> frozenset[Ground]:
        """The distance has a gradient in the features alone, and there is none without pairs of domains."""
        return frozenset({"moving features", "several domains"})

    @abstractmethod
    def apart(self, forward: Forward) -> Tensor:
        """The distance, a scalar; 0 where there is nothing to compare."""

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        return forward.domain_risks().mean() + self.penalty_weight * self.apart(forward)
