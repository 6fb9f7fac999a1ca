"""The small networks that tell domains apart, beside a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


def perceptron(widths: Sequence[int], like: Tensor, dropout: float = 0.0, slope: float = 0.0) -> nn.Sequential:
    """Linear maps from width to width, with dropout and ReLU between two of them.

    Random numbers come from the CPU, the same for every device.

    Args:
        widths: Of the input, of each hidden layer, and of the output.
        like: Says on which device, and in which numbers.
        dropout: Share of a hidden layer that is dropped.
        slope: What is left of negative numbers.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        between = nn.LeakyReLU(slope) if slope else nn.ReLU()
        layers += [nn.Dropout(dropout), between] if layers else []
        layers.append(nn.Linear(before, after))
    return nn.Sequential(*layers).to(like)
