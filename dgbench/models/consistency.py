"""How much a difference of features counts: what ITTA learns in training, and minimises at test time.

    C(u) = A_D relu(... relu(A_1 u))        A_k u = w_k * u + b_k, coordinate by coordinate

It begins as ``w = 1`` and ``b = 0``, where nothing counts but what is above 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CONSISTENCY = "consistency."
"""Opens the names of its weights in a network, of whose effective weights they are."""


class Consistency(nn.Module):
    """The maps ``A_1`` to ``A_D`` of features with d coordinates: weights and biases ``[D, d]``."""

    def __init__(self, depth: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(depth, dim))
        self.bias = nn.Parameter(torch.zeros(depth, dim))

    def forward(self, difference: Tensor) -> Tensor:
        """The mean square of ``C(u)`` for differences u, ``[n, d]``; a scalar."""
        return loss(self.weight, self.bias, difference)


def loss(weight: Tensor, bias: Tensor, difference: Tensor) -> Tensor:
    """:meth:`Consistency.forward` with weights ``[D, d]`` that are given."""
    for number, (w, b) in enumerate(zip(weight, bias, strict=True)):
        difference = w * (difference.relu() if number else difference) + b
    return difference.square().mean()
