"""AND-mask: only those weights move on whose direction the source domains agree.

Parascandolo, Neitz, Orvieto, Gresele, Schölkopf: Learning Explanations That Are Hard to Vary. ICLR 2021.
arXiv 2009.00329.

    g_e = grad L_e          a = |sum_e sign g_e| / M        m = [ a >= agreement ]
    direction = m mean_e g_e / (1e-10 + mean(m))

``m`` is an entry for each weight, and mean(m) runs over one tensor of weights. The division, as in the authors' code,
gives back the length that the mask takes; where few entries are left it makes their gradients huge, which Adam does not
see and SGD does (``clip_norm`` bounds it). A mask of gradients needs no loss of its own, so this is an optimizer, and
takes any objective that is a mean over domains.

With M domains only a few values of ``a`` are possible: 0 and 1 for two, 1/3 and 1 for three, 0, 1/2 and 1 for four
(where no entry is 0). All thresholds between two of them are the same algorithm, so for up to four domains all of the
published range above 1/2 is. Momentum and weight decay of the base optimizer move masked weights, too.

Cost: one forward and one backward pass over the batch, domain by domain, and M copies of the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.based import leave
from dgbench.algorithms.optimizers.domain_by_domain import DomainByDomain, evaluated, present
from dgbench.algorithms.step import Closure
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class ANDMask(DomainByDomain):
    """The mean of the domains' gradients where their signs agree, and 0 elsewhere.

    Attributes:
        agreement: How far signs must agree: 1 asks for all, 0 masks nothing.
    """

    agreement: Fraction = 1.0

    def direction(self, closure: Closure, parameters: Sequence[Tensor]) -> Tensor:
        """Masked gradients; the mean of the domains' losses."""
        losses, by_domain = zip(*(evaluated(closure.of(d), parameters) for d in present(closure)), strict=True)
        leave(parameters, [self.masked(torch.stack(found)) for found in zip(*by_domain, strict=True)])
        return torch.stack(losses).mean()

    def masked(self, gradients: Tensor) -> Tensor:
        """What is left of the mean over domains, from the gradients of one tensor, ``[M, ...]``."""
        mask = self.mask(gradients)
        return mask * gradients.mean(0) / (1e-10 + mask.mean())

    def mask(self, gradients: Tensor) -> Tensor:
        """What share of each entry stays, in [0, 1]; of the gradients of one tensor, ``[M, ...]``."""
        enough = math.ceil(self.agreement * len(gradients) - 1e-9)  # whole numbers, so that nothing is rounded
        return (gradients.sign().sum(0).abs() >= enough).to(gradients.dtype)
