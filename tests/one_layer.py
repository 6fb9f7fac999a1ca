"""One of the three convolutions of the smallest network: recipes do the same with it, a third as often."""

from smallest import smallest
from torch import nn

from dgbench.models.network import Backbone

SMALLEST = smallest()
"""The network whose place it takes."""
WIDTH = 24
"""How many features it has."""


def one_layer() -> Backbone:
    convolution = nn.Conv2d(3, WIDTH, 3, stride=2), nn.GroupNorm(4, WIDTH), nn.ReLU()
    module = nn.Sequential(*convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone("layer", module, WIDTH, 32, (0.5,) * 3, (0.5,) * 3)
