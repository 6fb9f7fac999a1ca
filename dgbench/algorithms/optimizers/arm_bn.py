"""ARM-BN: every domain is normalised by itself while a network learns, as test batches will be.

Zhang, Marklund, Dhawan, Gupta, Levine, Finn: Adaptive Risk Minimization: Learning to Adapt to Domain Shift.
NeurIPS 2021. arXiv 2007.02931.

    direction = mean_e grad L_e,  where layers normalise the examples of domain e by their own statistics

At test time layers normalise by the statistics of the batch (the predictor ``bn_adapt`` with no prior), so what is
trained is the risk after adaptation: statistics are what the method adapts, and they need no gradient of their own.
Where nothing normalises by the batch this is the mean gradient, which the base optimizer descends anyway, and the part
gives way. Running statistics move once for each domain, in their order.

The paper has three forms. This one needs nothing beside the network. ARM-CML, which DomainBed has under the name ARM,
makes a further channel of the input out of all images of a domain: then what a network makes of an image depends on
others before its first layer, and steps could not be divided by images, nor features be kept.

Cost: one forward and one backward pass over the batch, domain by domain. An objective that compares domains is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.based import leave
from dgbench.algorithms.optimizers.domain_by_domain import DomainByDomain, evaluated, present
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Closure


@dataclass(frozen=True)
class ARMBN(DomainByDomain):
    """The mean of the domains' gradients, each of a pass of its own."""

    def acts_on(self) -> frozenset[Ground]:
        """Statistics of batches of one domain."""
        return frozenset({"several domains", "batch statistics"})

    def direction(self, closure: Closure, parameters: Sequence[Tensor]) -> Tensor:
        """Mean gradients; the mean of the domains' losses."""
        losses, by_domain = zip(*(evaluated(closure.of(d), parameters) for d in present(closure)), strict=True)
        leave(parameters, [torch.stack(found).mean(0) for found in zip(*by_domain, strict=True)])
        return torch.stack(losses).mean()
