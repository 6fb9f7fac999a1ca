"""SGD with momentum.

Robbins, Monro: A Stochastic Approximation Method. Annals of Mathematical Statistics 22, 1951.
Polyak: Some methods of speeding up the convergence of iteration methods. USSR Computational Mathematics and
Mathematical Physics 4, 1964.

    v <- momentum v + g + wd w      w <- w - lr v
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.descent import Descent


@dataclass(frozen=True)
class SGD(Descent):
    """One pass a step. Weight decay enters the gradient, as in PyTorch."""

    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """PyTorch's SGD, with its fused kernels."""
        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, fused=True
        )
