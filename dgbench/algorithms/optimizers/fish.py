"""Fish: gradients of the source domains that point the same way, by walking through the domains one after the other.

Shi, Seely, Torr, Siddharth, Hannun, Usunier, Synnaeve: Gradient Matching for Domain Generalization. ICLR 2022.
arXiv 2104.09937.

    w' = w,  and for each domain e in a random order:  one step of the base optimizer on L_e, at w'
    w <- w + meta_rate (w' - w)

To first order the walk raises the inner products of the domains' gradients (as Reptile does for tasks). The base
optimizer keeps its moments from step to step. At ``meta_rate`` = 1 this is ERM on the domains by turns.

Deviations: as in the paper the domains are walked through in a random order; DomainBed's is fixed. Running statistics
of normalisation layers are those that the walk leaves, not interpolated as the weights are.

Cost: one forward and one backward pass over the batch, domain by domain, M steps of the base optimizer, and a copy of
the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.domain_by_domain import DomainByDomain, shuffled
from dgbench.algorithms.step import Closure
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class Fish(DomainByDomain):
    """A share of the way that steps on each domain in turn have led to.

    Attributes:
        meta_rate: That share.
    """

    meta_rate: Fraction = 0.5

    def step(self, closure: Closure, parameters: Sequence[Tensor], base: torch.optim.Optimizer) -> Tensor:
        """Walk, then go back some of the way; the mean of the domains' losses, each where the walk met it."""
        start = [p.detach().clone() for p in parameters]
        losses = []
        for domain in shuffled(closure):
            losses.append(super().step(closure.of(domain), parameters, base))
        with torch.no_grad():
            for parameter, before in zip(parameters, start, strict=True):
                parameter.copy_(before.lerp_(parameter, self.meta_rate))
        return torch.stack(losses).mean()
