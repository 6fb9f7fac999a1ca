"""Adam at test time: on private copies of a few weights, which go back to where they began.

Kingma, Ba: Adam: A Method for Stochastic Optimization. ICLR 2015. arXiv 1412.6980.

All that it holds are tensors, and nothing is read back: whether a step is taken is decided on the device. So predictors
that learn from a stream can be reset bit for bit, copied in the middle of it, and run beside each other on one network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dgbench.algorithms.later import Tensor, torch

FIRST, SECOND, EPS = 0.9, 0.999, 1e-8


class Descent:
    """Some weights on their way down.

    Args:
        start: What they begin as; never changed.
        lr: Learning rate.
    """

    def __init__(self, start: Sequence[Tensor], lr: float) -> None:
        self.start = [weight.detach().clone() for weight in start]
        self.lr = lr
        self.reset()

    def reset(self) -> None:
        """Back to the start, moments and all."""
        self.weights = [weight.clone() for weight in self.start]
        self.first = [torch.zeros_like(weight) for weight in self.start]
        self.second = [torch.zeros_like(weight) for weight in self.start]
        self.taken = self.start[0].new_zeros(())

    def step(self, slopes: Sequence[Tensor], wanted: Tensor | None = None) -> None:
        """One step along the gradients, unless one of them is not finite, or it is not wanted (a boolean scalar)."""
        goes = torch.stack([torch.isfinite(slope).all() for slope in slopes]).all()
        goes = goes if wanted is None else goes & wanted
        self.taken = self.taken + goes
        own, square = (-torch.expm1(self.taken * math.log(beta)) for beta in (FIRST, SECOND))
        for at, slope in enumerate(slopes):
            first = FIRST * self.first[at] + (1 - FIRST) * slope
            second = SECOND * self.second[at] + (1 - SECOND) * slope.square()
            moved = self.weights[at] - self.lr * (first / own) / ((second / square).sqrt() + EPS)
            self.first[at] = torch.where(goes, first, self.first[at])
            self.second[at] = torch.where(goes, second, self.second[at])
            self.weights[at] = torch.where(goes, moved, self.weights[at])


def slopes(
    loss: Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor], weights: Sequence[Tensor], given: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Gradients of a loss of weights and of what is given, in the weights; also where whoever calls wants none.

    Both are handed to the loss as copies: what was made in inference mode is no part of a graph.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        leaves = [weight.clone().requires_grad_() for weight in weights]
        return torch.autograd.grad(loss(leaves, [one.clone() for one in given]), leaves)
