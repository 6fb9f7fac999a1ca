"""RDM: losses that have the same distribution in the worst domain as in all together.

Nguyen, Do, Duong, Nguyen: Domain Generalisation via Risk Distribution Matching. WACV 2024. arXiv 2310.18598.

    r_i = CE_i      e* = the domain of the largest risk
    k(a, b) = sum over s in {1e-4, 1e-3, ..., 1e3} of exp(-s (a - b)^2)
    loss = mean_e L_e + w MMD^2_k(r of e*, r of all) + v (var r of all + var r of e*)

The distance of two sets of numbers is a mean over all pairs, a number with itself included; variances are unbiased; the
set of all contains the worst domain. As in DomainBed, both weights are 0 before the switch. Deviation: there the base
optimizer goes on with another learning rate from the switch, a hyperparameter of its own; here with its own.

Cost: one forward and one backward pass; n^2 numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.objectives.annealed import Annealed
from dgbench.algorithms.objectives.mmd import gaussians
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Forward
from dgbench.core.units import Fraction, NonNegative

SCALES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class RDM(Annealed):
    """Mean risk plus the distance of the worst domain's losses from all losses, and their variance.

    Attributes:
        variance_weight: Weight of the variances after the switch.
    """

    penalty_weight: NonNegative = 5.0
    anneal: Fraction = 0.3
    variance_weight: NonNegative = 0.004
    before: ClassVar[float] = 0.0

    def serves(self) -> frozenset[Targets]:
        """Risks are of any loss."""
        return frozenset({"classes", "values"})

    def acts_on(self) -> frozenset[Ground]:
        """The worst of one domain is all that there is."""
        return frozenset({"several domains"})

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        distance, variance = matching(forward)
        return self.penalised(forward, distance) + self.begun(forward) * self.variance_weight * variance


def matching(forward: Forward) -> tuple[Tensor, Tensor]:
    """MMD^2 between the losses of the worst domain and all losses; the sum of their variances."""
    r, shares = forward.losses, forward.domain_shares()
    worst = shares.index_select(0, (shares @ r).argmax().view(1)).squeeze(0)
    everyone = r.new_full(r.shape, 1 / len(r))
    apart = worst - everyone
    distance = apart @ gaussians((r[:, None] - r).square(), SCALES) @ apart
    return distance, _variance(r, worst) + _variance(r, everyone)


def _variance(r: Tensor, shares: Tensor) -> Tensor:
    """Unbiased, of the numbers whose shares ``1/b`` are above 0; 0 for a lone one."""
    biased = (shares * (r - shares @ r).square()).sum()
    return biased / (1 - shares.max()).clamp(min=1e-9)
