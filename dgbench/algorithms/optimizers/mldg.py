"""MLDG: a step that lowers the risk on some source domains, and on the others after it has been taken.

Li, Yang, Song, Hospedales: Learning to Generalize: Meta-Learning for Domain Generalization. AAAI 2018.
arXiv 1710.03463.

    S, T = a random division of the source domains, T of ``held_out`` of them
    w' = w - a first step of a fresh base optimizer along grad F(w)        F = mean of L_e over S, G over T
    direction = (grad F(w) + meta_weight grad G(w')) / (1 + meta_weight)

The gradient of G is taken at w' and not carried through the step to w (first order), as DomainBed does; the paper
carries it. Deviations from DomainBed, where a random division gives pairs of one domain of S and one of T:
* all domains of S and T are used in every step; there, with three domains and two of them held out, one is not.
* at least one domain stays in S; there, two domains with two held out leave no pair, and nothing is ever learned.
* the direction is divided by the sum of its weights, so a step is as long as ERM's; there, a sum over pairs is divided
  by the number of domains. Adam does not see the difference.
* running statistics of normalisation layers are those of the network, at both passes; there, only copies see images.

Cost: one forward and one backward pass over the batch, in two parts, a step of the base optimizer more, and a copy of
the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.descend import descend
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.domain_by_domain import DomainByDomain, evaluated, shuffled
from dgbench.algorithms.step import Closure
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class MLDG(DomainByDomain):
    """The gradient on some domains here, and on the others a step ahead.

    Attributes:
        meta_weight: Weight of the gradient on the domains held out; 0 learns from the others alone.
        held_out: How many domains are held out in a step; at least one is left.
    """

    meta_weight: NonNegative = 1.0
    held_out: Count = 2

    def direction(self, closure: Closure, parameters: Sequence[Tensor]) -> Tensor:
        """The weighted mean of both gradients; the mean of the domains' losses, each where it was looked at."""
        order = shuffled(closure)
        cut = max(1, len(order) - self.held_out)
        loss, here = evaluated(closure.of(*order[:cut]), parameters)
        if cut == len(order):
            return loss
        before = [p.detach().clone() for p in parameters]
        try:
            ahead = self.build(parameters)
            for group in ahead.param_groups:
                group["lr"] = self.rate(closure.step, closure.steps)
            descend(ahead)
            loss_ahead, there = evaluated(closure.of(*order[cut:]), parameters)
        finally:
            with torch.no_grad():
                torch._foreach_copy_(list(parameters), before)
        for parameter, near, far in zip(parameters, here, there, strict=True):
            parameter.grad = near.lerp(far, self.meta_weight / (1 + self.meta_weight))
        return loss.lerp(loss_ahead, 1 - cut / len(order))
