"""SAGM: the loss here and the loss nearby, with gradients that agree.

Wang, Zhang, Lei, Zhang: Sharpness-Aware Gradient Matching for Domain Generalization. CVPR 2023. arXiv 2303.10353.
Code: Wang-pengfei/SAGM.

    min_w  L(w) + L_p(w - alpha grad L(w))        L_p(w) = max_{||e|| <= rho} L(w + e)
    g = grad L(w)       e = (rho / ||g|| - alpha) g       descend along (g + grad L(w + e)) / 2

To first order in ``alpha`` the second term adds ``-alpha <grad L, grad L_p>``, which rewards the two gradients for
agreeing. The step back and the step uphill are one shift, so a step costs two forward and two backward passes. Where
``||g||`` is above ``rho / alpha`` (50 by default) the shift goes downhill. As in the released code the gradient is the
mean of the two and not their sum; to Adam it is the same. There, ``rho`` is 0.05 whatever is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Network, Tensor, nn, torch
from dgbench.algorithms.optimizers.based import gradients, leave
from dgbench.algorithms.optimizers.sam import SAM, TINY
from dgbench.algorithms.step import Closure
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class SAGM(SAM):
    """Descend along the mean of the gradient here and the one nearby.

    Attributes:
        alpha: Length of the step back, in units of the gradient.
    """

    alpha: NonNegative = 1e-3

    def ascent(self, network: Network, weights: list[Tensor], slopes: list[Tensor]) -> tuple[Tensor, ...]:
        """``(rho / ||g|| - alpha) g``."""
        return torch._foreach_mul(slopes, self.rho / (nn.utils.get_total_norm(slopes) + TINY) - self.alpha)

    def descend(self, closure: Closure, weights: list[Tensor], at_w: list[Tensor]) -> None:
        """The mean of both gradients."""
        super().descend(closure, weights, at_w)
        leave(weights, torch._foreach_mul(torch._foreach_add(gradients(weights), at_w), 0.5))
