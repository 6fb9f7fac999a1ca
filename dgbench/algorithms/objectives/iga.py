"""IGA: risks whose gradients are equal in every domain.

Koyama, Yamaguchi: When is invariance useful in an Out-of-Distribution Generalization problem? 2020. arXiv 2008.01883.

    loss = mean_e L_e + w sum_e ||grad L_e - sg(mean_e grad L_e)||^2

over all trainable weights, as published: one forward pass, a backward pass for each domain, and one more through all
of them, with every graph in memory (8 to 10 times ERM's time with three domains). Over the weights of the head alone
the distances have a closed form in residuals and features, and cost next to nothing (``weights = "head"``); the
gradient then reaches the backbone through the features. ``sg``, which holds what it encloses constant, changes no
gradient here, since deviations from a mean sum to 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.head_statistics import inner_products, residuals, spread
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class IGA(Objective):
    """Mean risk plus the spread of its gradients over domains.

    Attributes:
        penalty_weight: Weight of the spread.
        weights: In which weights gradients are taken: ``all`` that are trained, or those of the ``head``.
    """

    penalty_weight: NonNegative = 1000.0
    weights: Literal["all", "head"] = "all"

    def acts_on(self) -> frozenset[Ground]:
        """One gradient has no spread."""
        return frozenset({"several domains"})

    @property
    def passes(self) -> float:
        """With three domains, where gradients have gradients: measured, not counted."""
        return 8.5 if self.weights == "all" else 1.0

    def differentiates_twice(self) -> bool:
        """Where the gradients are not in closed form."""
        return self.weights == "all"

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        risks = forward.domain_risks()
        if self.weights == "head":
            apart = spread(forward, residuals(forward), inner_products(forward.features)) * forward.domains
        else:
            apart = _spread_by_autograd(forward, risks)
        return risks.mean() + self.penalty_weight * apart


def _spread_by_autograd(forward: Forward, risks: Tensor) -> Tensor:
    """``sum_e ||grad L_e - mean||^2`` over all weights that are trained and that the risks depend on."""
    trained = [p for p in forward.network.parameters() if p.requires_grad]
    gradients = [torch.autograd.grad(r, trained, create_graph=True, allow_unused=True) for r in risks]
    stacks = [torch.stack(found) for found in zip(*gradients, strict=True) if found[0] is not None]
    return torch.stack([(g - g.mean(0).detach()).square().sum() for g in stacks]).sum()
