"""IB-IRM: IRM on features that carry no more than the classes need.

Ahuja, Caballero, Zhang, Gagnon-Audet, Bengio, Mitliagkas, Rish: Invariance Principle Meets Information Bottleneck for
Out-of-Distribution Generalization. NeurIPS 2021. arXiv 2106.06607.

    loss = mean_e L_e + w IRMv1 + v mean_e mean_d var_{i in e} phi_id

The two penalties are those of IRM and of IB-ERM. As in DomainBed each sets in at a time of its own, ``w`` at 1 before
and ``v`` at 0, and the base optimizer starts afresh at either. Cost: one forward and one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.objectives.ib_erm import IBERM, bottleneck
from dgbench.algorithms.objectives.irm import IRM
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Forward
from dgbench.core.units import Fraction, NonNegative


@dataclass(frozen=True)
class IBIRM(IRM):
    """IRM plus the variance of features within domains.

    Attributes:
        bottleneck_weight: Weight of the variance.
        bottleneck_anneal: Share of the steps before the variance sets in.
    """

    bottleneck_weight: NonNegative = 100.0
    bottleneck_anneal: Fraction = 0.1

    def acts_on(self) -> frozenset[Ground]:
        """The variance has a gradient in the features alone."""
        return frozenset({"moving features"})

    def reduced(self) -> IRM:
        """IRM is left."""
        return IRM(penalty_weight=self.penalty_weight, anneal=self.anneal)

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, possibly negative."""
        return super().loss(forward) + self._bottleneck.weight(forward) * bottleneck(forward)

    def resets_optimizer(self, step: int, steps: int) -> bool:
        """At either switch."""
        return super().resets_optimizer(step, steps) or self._bottleneck.resets_optimizer(step, steps)

    @property
    def _bottleneck(self) -> IBERM:
        return IBERM(self.bottleneck_weight, self.bottleneck_anneal)
