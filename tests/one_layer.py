"""One of the layers of a small network: recipes do the same with it, a third as often, or half as often."""

from dataclasses import replace

from smallest import LOOK_INTO_BLOCKS, smallest
from torch import nn

from dgbench.models.backbones import build
from dgbench.models.backbones.matrices import find_matrices
from dgbench.models.network import Backbone
from dgbench.train.spec import TrainingSpec

SMALLEST, BLOCKS = smallest(), smallest("lora")
"""The networks whose places they take."""
WIDTH = 24
"""How many features the convolution has."""


def network_of(spec: TrainingSpec) -> Backbone:
    """What a training is tried on; what looks into blocks sees all there are."""
    if spec.backbone == SMALLEST:
        return one_layer()
    if spec.backbone == BLOCKS and spec.parts["objective"]["part"] not in LOOK_INTO_BLOCKS:
        return one_block()
    return build(spec.backbone)


def one_layer() -> Backbone:
    """One of three convolutions."""
    convolution = nn.Conv2d(3, WIDTH, 3, stride=2), nn.GroupNorm(4, WIDTH), nn.ReLU()
    module = nn.Sequential(*convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone("layer", module, WIDTH, 32, (0.5,) * 3, (0.5,) * 3)


def one_block() -> Backbone:
    """One of two blocks of attention."""
    backbone = build(BLOCKS)
    module = backbone.module
    module.blocks = module.blocks[:1]  # type: ignore[index]
    return replace(backbone, matrices=find_matrices(module))
