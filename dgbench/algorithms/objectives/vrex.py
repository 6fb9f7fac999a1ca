"""V-REx: risks that are equal in every domain.

Krueger, Caballero, Jacobsen, Zhang, Binas, Zhang, Le Priol, Courville: Out-of-Distribution Generalization via Risk
Extrapolation (REx). ICML 2021. arXiv 2003.00688.

    loss = mean_e L_e + w (1/M) sum_e (L_e - mean L)^2

As in DomainBed, ``w`` is 1 before the switch. The loss is never divided by ``w``.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.objectives.annealed import Annealed
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class VREx(Annealed):
    """Mean risk plus the variance of the domains' risks."""

    penalty_weight: NonNegative = 10.0

    def serves(self) -> frozenset[Targets]:
        """Risks are of any loss."""
        return frozenset({"classes", "values"})

    def acts_on(self) -> frozenset[Ground]:
        """A single risk has no variance."""
        return frozenset({"several domains"})

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        return self.penalised(forward, forward.domain_risks().var(correction=0))

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """With ``dL / dL_e = (1 + 2 w (L_e - mean L)) / M``."""
        risks, domains = forward.domain_risks(), forward.domains
        apart = (2 / domains) * risks.new_tensor(self.weight(forward)) * (risks - risks.mean())
        shares = forward.mean_shares(torch.full_like(risks, 1 / domains)) + forward.mean_shares(apart)
        return self.penalised(forward, risks.var(correction=0)), slopes(forward, shares)
