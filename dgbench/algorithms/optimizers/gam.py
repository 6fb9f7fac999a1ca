"""GAM: weights around which the gradient is short, too.

Zhang, Xu, Yu, Zou, Cui: Gradient Norm Aware Minimization Seeks First-Order Flatness and Improves Generalization.
CVPR 2023. arXiv 2303.03108. Code: xxgege/GAM, whose accelerated form this is.

First-order flatness is ``rho max_{||e|| <= rho} ||grad L(w + e)||``. Its gradient is that of the gradient's norm at the
worst point, and differences of gradients stand for products with the Hessian, so nothing is differentiated twice:

    g0 = grad L(w)              g1 = grad L(w + r g0 / ||g0||)            g1 - g0  ~  r grad ||grad L(w)||
    w2 = w + rho (g1 - g0) / ||g1 - g0||                                  where the gradient is long
    g2 = grad L(w2)             g3 = grad L(w2 + r g2 / ||g2||)
    h+ = alpha g1 + (1 - alpha) g3            h- = beta g0 + (1 - beta) g2
    descend along   h+ - gamma h_perp         h_perp: what of h- is orthogonal to h+

Four forward and four backward passes. The released code takes ``h+ = g1 + g3`` and ``h- = g0 + g2`` by default; with
``alpha = beta = 1/2``, the default here, the direction is the same and half as long, which is all one to Adam. There,
the objective is cross-entropy with label smoothing 0.1; here it is what the recipe says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.based import Tensors, gradients, leave
from dgbench.algorithms.optimizers.sam import SAM, TINY, inner, moved, of_length
from dgbench.algorithms.step import Closure
from dgbench.core.units import Fraction, NonNegative


@dataclass(frozen=True)
class GAM(SAM):
    """Descend where the gradient is longest nearby.

    Attributes:
        rho: How far away the longest gradient is looked for.
        difference: r, the distance over which gradients are compared.
        alpha: Share of ``g1`` in ``h+``.
        beta: Share of ``g0`` in ``h-``.
        gamma: Weight of the orthogonal part.
    """

    rho: NonNegative = 0.2
    difference: NonNegative = 0.02
    alpha: Fraction = 0.5
    beta: Fraction = 0.5
    gamma: NonNegative = 0.03
    passes: ClassVar[float] = 4.0

    def descend(self, closure: Closure, weights: list[Tensor], at_w: list[Tensor]) -> None:
        """Three more passes, and what they make."""
        g0 = at_w
        g1, g2, g3 = further(closure, weights, g0, self.difference, self.rho)
        up = mixed(self.alpha, g1, g3)
        down = mixed(self.beta, g0, g2)
        share = inner(down, up) / (inner(up, up) + TINY)
        orthogonal = torch._foreach_sub(down, torch._foreach_mul(up, share))
        leave(weights, torch._foreach_sub(up, orthogonal, alpha=self.gamma))


def mixed(share: float, a: Tensors, b: Tensors) -> tuple[Tensor, ...]:
    """``share a + (1 - share) b``."""
    return torch._foreach_add(torch._foreach_mul(a, share), b, alpha=1 - share)


def further(
    closure: Closure, weights: list[Tensor], g0: list[Tensor], difference: float, rho: float
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """``g1``, ``g2`` and ``g3`` of the module's docstring: three passes."""
    found = []
    with moved(weights, of_length(difference, g0)):
        closure("descent")
        found.append(gradients(weights))
    with moved(weights, of_length(rho, torch._foreach_sub(found[0], g0))):
        closure("descent")
        found.append(gradients(weights))
        with moved(weights, of_length(difference, found[1])):
            closure("descent")
            found.append(gradients(weights))
    return found[0], found[1], found[2]
