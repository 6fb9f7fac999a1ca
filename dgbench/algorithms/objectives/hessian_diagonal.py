"""Hessian alignment: heads whose gradient and whose Hessian's diagonal are equal in every domain.

Hemati, Zhang, Estiri, Chen: Understanding Hessian Alignment for Domain Generalization. ICCV 2023. arXiv 2308.11778.

    G_e, D_e = gradient of L_e in the head's C (D + 1) weights, and the diagonal of its Hessian
    loss = mean_e L_e + mean_e [ a ||D_e - mean D||^2 + b ||G_e - mean G||^2 ]

For logits ``z = W phi`` and ``p = softmax(z)`` the diagonal is ``D_e = mean_i (p_i (1 - p_i)) (phi_i^2)'``, and
distances between sums of outer products follow from inner products (``head_statistics.py``): exact, with one forward
and one backward pass and n^2 D. The paper estimates it by Hutchinson's method,

    D_e = mean over k probes z of z * (H_e z)        z of independent signs

which ``probes`` does here, too, at the cost of k products of the head's size. Deviation: all domains have the same
probes, so that equal domains have no penalty; in the released code each has its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dgbench.algorithms.head_statistics import curved, inner_products, residuals, spread
from dgbench.algorithms.later import F, Tensor, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class HessianDiagonal(Objective):
    """Mean risk plus the spread of gradients and of Hessians' diagonals over domains.

    Attributes:
        hessian_weight: Weight of the spread of the diagonals.
        gradient_weight: Weight of the spread of the gradients.
        probes: How many probes estimate the diagonal; 0 computes it.
    """

    hessian_weight: NonNegative = 1e-3
    gradient_weight: NonNegative = 5e-3
    probes: Annotated[int, Field(ge=0)] = 0

    def acts_on(self) -> frozenset[Ground]:
        """One gradient has no spread."""
        return frozenset({"several domains"})

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        gradients = spread(forward, residuals(forward), inner_products(forward.features))
        diagonals = estimated_spread(forward, self.probes) if self.probes else diagonal_spread(forward)
        return forward.domain_risks().mean() + self.hessian_weight * diagonals + self.gradient_weight * gradients


def diagonal_spread(forward: Forward) -> Tensor:
    """``mean_e ||D_e - mean D||^2``."""
    p = forward.logits.softmax(1)
    return spread(forward, p * (1 - p), inner_products(forward.features.square()))


def estimated_spread(forward: Forward, probes: int) -> Tensor:
    """The same of estimates; the probes are drawn on the CPU from the step's seed, once for all passes."""
    p, phi = forward.logits.softmax(1), F.pad(forward.features, (0, 1), value=1.0)
    shares = forward.domain_shares()

    def draw() -> Tensor:
        return torch.randint(0, 2, (probes, p.shape[1], phi.shape[1])).to(phi) * 2 - 1

    estimate = torch.zeros((), dtype=phi.dtype, device=phi.device)
    for z in forward.batch.once(("probes", probes), draw):
        s = curved(p, phi @ z.t())
        estimate = estimate + z * torch.einsum("mn,nc,nd->mcd", shares, s, phi)
    estimate = estimate / probes
    return (estimate - estimate.mean(0)).square().flatten(1).sum(1).mean()
