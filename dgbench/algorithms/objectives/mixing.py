"""What the objectives share that mix examples, and their labels, before a step's passes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Forward
from dgbench.core.units import Positive


@dataclass(frozen=True)
class Mixing(Objective):
    """Mean risk of the domains on examples that are mixed in pairs; a pair counts to the domain of its first.

    Attributes:
        alpha: Parameter of the symmetric Beta distribution that mixing weights come from.
    """

    alpha: Positive = 2.0

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        return forward.domain_risks().mean()

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Every domain has the same share of the mean."""
        shares = forward.mean_shares(forward.logits.new_full((forward.domains,), 1 / forward.domains))
        return self.loss(forward), slopes(forward, shares)


def mixed(batch: Batch, classes: int, partner: Tensor, share: Tensor) -> Batch:
    """Each example mixed with its partner's, and its target likewise.

    Args:
        batch: As the sampler made it.
        classes: C.
        partner: The row of the partner, ``[n]``.
        share: Of each example itself: a scalar, or ``[n]``.
    """
    x, target = batch.x, batch.targets(classes)
    of_x, of_target = (share.view(-1, *[1] * (v.ndim - 1)) if share.ndim else share for v in (x, target))
    others, their_target = (values.index_select(0, partner) for values in (x, target))  # thrice as fast as by brackets
    return batch.replace(x=of_x * x + (1 - of_x) * others, target=of_target * target + (1 - of_target) * their_target)


def shuffled(batch: Batch, classes: int, a: float, generator: torch.Generator) -> Batch:
    """The batch mixed with itself in another order, all examples at one share from Beta(a, a): mixup."""
    share = symmetric_beta(a, generator).to(batch.x)
    partner = torch.randperm(len(batch), generator=generator, device=generator.device).to(batch.x.device)
    return mixed(batch, classes, partner, share)


def drawn_partners(weights: Tensor, generator: torch.Generator) -> Tensor:
    """A partner for each example, its row drawn in proportion to weights ``[n, n]``; itself where all are 0."""
    u = torch.rand(len(weights), 1, generator=generator, device=generator.device).to(weights)
    ends = weights.cumsum(1)
    whole = ends[:, -1:]
    found = (ends <= u * whole).sum(1)
    itself = torch.arange(len(weights), device=weights.device)
    return torch.where(whole.squeeze(1) > 0, found, itself)


def symmetric_beta(a: float, generator: torch.Generator, *shape: int) -> Tensor:
    """Draws from Beta(a, a), float64 of that shape on the generator's device; one, where no shape is given.

    Bailey's polar method gives a Student t with 2a degrees of freedom from two uniform numbers, with no rejection; with
    ``s = t / sqrt(2a)``, ``(1 + s / sqrt(1 + s^2)) / 2`` is Beta(a, a). The sine of the arc tangent stays exact where
    ``s`` overflows, which a small ``a`` brings about.
    """
    u, v = torch.rand(2, *shape, generator=generator, device=generator.device, dtype=torch.float64)
    s = torch.expm1(-u.log() / a).sqrt() * torch.cos(2 * math.pi * v)
    return (1 + s.atan().sin()) / 2
