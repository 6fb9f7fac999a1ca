"""A small network beside a frozen backbone, and layers that join the two at several levels of the backbone.

    a_k = GELU(J_k [LN(h_k), z])        k = 1..K        features = [a_1, ..., a_K]

``h_k`` is what a block of the backbone gives out, its mean over places, and at last the backbone's features; ``z`` is
what the small network makes of the image. On these features a linear head is the mean of K heads, one on each ``a_k``:
the slice of its weights that lies on ``a_k`` is that head's divided by K, and the bias is shared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.models.levels import levels
from dgbench.models.network import Level, Network

SMALL = "dgbench:convnet-small"
"""The small network: 53 thousand weights; it takes images of any size."""
_JOINS = "side.joins."


class Side(nn.Module):
    """The small network and the joining layers.

    Args:
        network: Says which levels the backbone has.
        blocks: Up to how many blocks are joined, beside the features.
        width: How many numbers each ``a_k`` has.

    Attributes:
        levels: The blocks.
    """

    def __init__(self, network: Network, blocks: int, width: int) -> None:
        from dgbench.models.backbones import build

        super().__init__()
        small = build(SMALL)
        self.levels: tuple[Level, ...] = levels(network.info, network.backbone, blocks)
        self.width = width
        self.small = small.module
        channels = [*(level.channels for level in self.levels), network.info.dim]
        self.norms = nn.ModuleList(nn.LayerNorm(count) for count in channels)
        self.joins = nn.ModuleList(nn.Linear(count + small.dim, width) for count in channels)

    def forward(self, inner: tuple[Tensor, ...], features: Tensor, small: Tensor) -> Tensor:
        """``[n, K * width]`` of what the blocks give out, the backbone's features and the small network's."""
        means = [each.flatten(2).mean(2) if level.axis == 1 else each.flatten(1, -2).mean(1) for level, each in
                 zip(self.levels, inner, strict=True)]  # fmt: skip
        joined = [
            F.gelu(join(torch.cat([norm(each), small], 1)))
            for norm, join, each in zip(self.norms, self.joins, [*means, features], strict=True)
        ]
        return torch.cat(joined, 1)


def widen(network: Network, blocks: int, width: int) -> None:
    """Give a network a side network, and a head on its features, in place; random numbers come from the CPU."""
    like = network.head.weight
    side = Side(network, blocks, width)
    count = len(side.joins)
    head = nn.Linear(count * width, network.classes)
    with torch.no_grad():  # each of the heads that it is the mean of starts as a linear layer on its own features
        head.weight.div_(math.sqrt(count))
    network.side, network.head = side.to(like), head.to(like)
    network.info = replace(network.info, dim=count * width)


def members(network: Network, features: Tensor) -> Tensor:
    """Logits of each of the K heads, ``[n, K, C]``; their mean is the network's."""
    count = 1 if network.side is None else len(network.side.joins)
    weight = network.head.weight.view(network.classes, count, -1)
    return count * torch.einsum("nkw,ckw->nkc", features.view(len(features), count, -1), weight) + network.head.bias


def sides_of(state: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """How many blocks and which width the side network of a state has; None where it has none."""
    joins = [tensor for name, tensor in state.items() if name.startswith(_JOINS) and name.endswith(".weight")]
    return (len(joins) - 1, len(joins[0])) if joins else None
