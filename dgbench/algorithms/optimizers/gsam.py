"""GSAM: SAM that also closes the gap between the loss nearby and the loss here.

Zhuang, Gong, Yuan, Cui, Adam, Dvornek, Tatikonda, Duncan, Liu: Surrogate Gap Minimization Improves Sharpness-Aware
Training. ICLR 2022. arXiv 2203.08065. Code: juntang-zhuang/GSAM.

    g = grad L(w)       e = rho_t g / ||g||       g_p = grad L(w + e)
    descend along   g_p - alpha g_perp            g_perp = g - <g, g_p> / ||g_p||^2 g_p
    rho_t = rho_min + (rho - rho_min) lr_t / lr

A step along ``g_perp`` leaves the loss nearby as it is, to first order, and raises the loss here, so the gap between
them shrinks. The radius follows the learning rate, which falls to 0 here (``lr_min``), and is ``rho`` throughout where
the rate is constant. Two forward and two backward passes. Deviation: the denominator has 1e-12 added, so that a zero
gradient has no part that is orthogonal to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.based import gradients, leave
from dgbench.algorithms.optimizers.sam import SAM, TINY, inner, moved, of_length
from dgbench.algorithms.step import Closure
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class GSAM(SAM):
    """Descend at the worst point nearby, away from what would lower the loss here alone.

    Attributes:
        rho: Radius of the neighbourhood at the full learning rate.
        rho_min: Radius where the learning rate is 0.
        alpha: Weight of the orthogonal part; 0 is SAM.
    """

    rho_min: NonNegative = 0.0
    alpha: NonNegative = 0.1

    def radius(self, step: int, steps: int) -> float:
        """``rho_t``."""
        return self.rho_min + (self.rho - self.rho_min) * self.rate(step, steps) / self.lr

    def descend(self, closure: Closure, weights: list[Tensor], at_w: list[Tensor]) -> None:
        """The gradient nearby, without ``alpha`` of what is orthogonal to it in the one here."""
        with moved(weights, of_length(self.radius(closure.step, closure.steps), at_w)):
            closure("descent")
        nearby = gradients(weights)
        share = inner(at_w, nearby) / (inner(nearby, nearby) + TINY)
        orthogonal = torch._foreach_sub(at_w, torch._foreach_mul(nearby, share))
        leave(weights, torch._foreach_sub(nearby, orthogonal, alpha=self.alpha))
