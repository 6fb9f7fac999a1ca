"""HGP: heads whose gradient, and whose Hessian along it, are equal in every domain.

Hemati, Zhang, Estiri, Chen: Understanding Hessian Alignment for Domain Generalization. ICCV 2023. arXiv 2308.11778.

    G_e, H_e = gradient and Hessian of L_e in the head's C (D + 1) weights        G, H those of mean_e L_e
    loss = mean_e L_e + mean_e [ a ||H_e G_e - sg(H G)||^2 + b ||G_e - sg(G)||^2 ]

``sg`` holds what it encloses constant. For logits ``z = W phi``, ``p = softmax(z)`` and any ``V`` of the head's shape,

    G_e = mean_i (p_i - y_i) phi_i'      H_e V = mean_i s_i phi_i'      u = V phi,  s = p * u - p (p.u)

and distances between sums of outer products follow from inner products of features (``head_statistics.py``). So there
is no double backward: one forward and one backward pass, and n^2 D, where the released code takes about three.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.head_statistics import curved, from_both_sides, one_sided, residuals, spread
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class HGP(Objective):
    """Mean risk plus the spread of gradients and of Hessian-gradient products over domains.

    Attributes:
        hessian_weight: Weight of the spread of H_e G_e.
        gradient_weight: Weight of the spread of G_e.
    """

    hessian_weight: NonNegative = 1e-4
    gradient_weight: NonNegative = 5e-3

    def acts_on(self) -> frozenset[Ground]:
        """One gradient has no spread."""
        return frozenset({"several domains"})

    def loss(self, forward: Forward) -> Tensor:
        """A scalar; at least 0 up to rounding."""
        r, products = residuals(forward), one_sided(forward.features)
        gradients = spread(forward, r, from_both_sides(products))
        curved = product_spread(forward, r, products)
        return forward.domain_risks().mean() + self.hessian_weight * curved + self.gradient_weight * gradients


def product_spread(forward: Forward, r: Tensor, products: Tensor) -> Tensor:
    """``mean_e ||H_e G_e - sg(H G)||^2``, from residuals ``[n, C]`` and one-sided inner products ``[n, n]``."""
    p, shares, inner = forward.logits.softmax(1), forward.domain_shares(), from_both_sides(products)
    everyone = shares.mean(0)
    own = curved(p, (shares[forward.batch.domain] * inner) @ r)
    with torch.no_grad():
        common = curved(p, (everyone * inner) @ r)
        constant = everyone @ (common @ common.t() * inner) @ everyone
    squares = ((shares @ (own @ own.t() * inner)) * shares).sum() / forward.domains
    crosses = everyone @ (own @ common.t() * products) @ everyone
    return squares - 2 * crosses + constant
