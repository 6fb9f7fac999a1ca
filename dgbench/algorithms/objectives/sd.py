"""Spectral decoupling: logits that stay small, so that no feature starves the others of gradient.

Pezeshki, Kaba, Bengio, Courville, Precup, Lajoie: Gradient Starvation: A Learning Proclivity in Neural Networks.
NeurIPS 2021. arXiv 2011.09468.

    loss = mean_i [ CE_i + w mean_c z_ic^2 ]

with ``z`` the logits. As in DomainBed the square is a mean over the C classes, so ``w`` here is C times what it is for
a sum. Cost: one forward and one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import Tensor
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class SD(Objective):
    """Mean cross-entropy plus the mean square of the logits.

    Attributes:
        penalty_weight: Weight of the square.
    """

    penalty_weight: NonNegative = 0.1

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        return forward.cross_entropy.mean() + self.penalty_weight * forward.logits.square().mean()

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Every logit has the same share of the square."""
        z, n = forward.logits, len(forward.batch)
        of_squares = z.new_tensor(self.penalty_weight) / z.numel() * (2 * z)
        return self.loss(forward), slopes(forward, z.new_full((n,), 1 / n)) + of_squares
