"""IB-ERM: features that carry no more than the classes need, an information bottleneck.

Ahuja, Caballero, Zhang, Gagnon-Audet, Bengio, Mitliagkas, Rish: Invariance Principle Meets Information Bottleneck for
Out-of-Distribution Generalization. NeurIPS 2021. arXiv 2106.06607.

    loss = mean_e L_e + w mean_e mean_d var_{i in e} phi_id

with the unbiased variance of each feature within a domain in place of its entropy. As in DomainBed, ``w`` is 0 before
the switch. Features that shrink while the head grows have a small variance and the same predictions, so the penalty
says little where weights do not decay. Cost: one forward and one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.objectives.annealed import Annealed
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class IBERM(Annealed):
    """Mean risk plus the variance of features within domains."""

    penalty_weight: NonNegative = 100.0
    before: ClassVar[float] = 0.0

    def serves(self) -> frozenset[Targets]:
        """Risks are of any loss."""
        return frozenset({"classes", "values"})

    def acts_on(self) -> frozenset[Ground]:
        """The variance has a gradient in the features alone."""
        return frozenset({"moving features"})

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        return self.penalised(forward, bottleneck(forward))


def bottleneck(forward: Forward) -> Tensor:
    """Unbiased variance of each feature within each domain, the mean over both; 0 for a lone example."""
    centred = forward.features - forward.domain_means(forward.features)[forward.batch.domain]
    member, counts = forward.batch.membership(forward.domains)
    sums = member.t().to(centred.dtype) @ centred.square().mean(1)
    return (sums / (counts - 1).clamp(min=1)).mean()
