"""FAD: weights around which the loss is low and the gradient is short.

Zhang, Xu, Yu, Dong, Tian, Cui: Flatness-Aware Minimization for Domain Generalization. ICCV 2023. arXiv 2307.11108.

    min_w  L + beta (alpha R0 + (1 - alpha) R1)
    R0 = max_{||e|| <= rho} L(w + e) - L(w)            R1 = rho max_{||e|| <= rho} ||grad L(w + e)||

Both gradients are differences of gradients, as in GAM, with which this shares its four points:

    g0 = grad L(w)     g1 = grad L(w + rho g0 / ||g0||)                              grad R0  ~  g1 - g0
    w2 = w + rho (g1 - g0) / ||g1 - g0||
    g2 = grad L(w2)    g3 = grad L(w2 + rho g2 / ||g2||)                             grad R1  ~  g3 - g2
    descend along   g0 + beta (alpha (g1 - g0) + (1 - alpha) (g3 - g2))

With ``alpha = beta = 1`` that is SAM, at twice the price. Four forward and four backward passes. No code was released;
the approximations are those that follow from the objective, with ``rho`` for every distance, and the ranges of the
card's search are dgbench's. The objective could not be compared with the paper's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.based import leave
from dgbench.algorithms.optimizers.gam import further
from dgbench.algorithms.optimizers.sam import SAM
from dgbench.algorithms.step import Closure
from dgbench.core.units import Fraction, NonNegative


@dataclass(frozen=True)
class FAD(SAM):
    """Descend both kinds of flatness beside the loss.

    Attributes:
        rho: Radius of the neighbourhood, an L2 norm over all weights.
        alpha: Share of the loss's flatness; the rest is the gradient's.
        beta: Weight of flatness beside the loss.
    """

    alpha: Fraction = 0.5
    beta: NonNegative = 1.0
    passes: ClassVar[float] = 4.0

    def descend(self, closure: Closure, weights: list[Tensor], at_w: list[Tensor]) -> None:
        """Three more passes, and what they make."""
        g1, g2, g3 = further(closure, weights, at_w, self.rho, self.rho)
        loss_flat = torch._foreach_mul(torch._foreach_sub(g1, at_w), self.beta * self.alpha)
        gradient_flat = torch._foreach_mul(torch._foreach_sub(g3, g2), self.beta * (1 - self.alpha))
        leave(weights, torch._foreach_add(torch._foreach_add(at_w, loss_flat), gradient_flat))
