"""MIRO: features that keep what those of the pretrained network say.

Cha, Lee, Park, Chun: Domain Generalization by Mutual-Information Regularization with Pre-trained Models. ECCV 2022.
arXiv 2203.10789.

    loss = mean_i CE_i + w sum over levels l of  1/2 mean [ (f_l - f0_l)^2 / s_l^2 + log s_l^2 ]

``f0`` is the network before its first step, frozen, on the same augmented images. ``s_l^2 = softplus(b_l) + 1e-5`` has
a number for each channel of a level, starts at 0.1 and learns at ten times the rate. The sum bounds the mutual
information of f and f0 where the encoder of the mean is the identity, as in the released code; it may be negative.

Deviations: levels are a few blocks, evenly spaced, and the features; the released code has the stem and the four
stages of a ResNet. Where no blocks of a backbone are known, the features are the only level. Cost: two forward passes
and one backward pass; under SAM the frozen network sees a batch once. Memory for the frozen network.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, cast

from pydantic import Field

from dgbench.algorithms.later import F, Network, Tensor, nn, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative, Positive

EPSILON, START = 1e-5, 0.1


@dataclass(frozen=True)
class MIRO(Objective):
    """Cross-entropy plus the distance from the pretrained network's features.

    Attributes:
        penalty_weight: w.
        variance_rate: The learning rate of the variances, as a multiple of the network's.
        blocks: How many blocks are looked at, at most.
    """

    penalty_weight: NonNegative = 0.1
    variance_rate: Positive = 10.0
    blocks: Annotated[int, Field(ge=0)] = 4

    def acts_on(self) -> frozenset[Ground]:
        """Features that do not change are those of the pretrained network."""
        return frozenset({"moving features"})

    @property
    def further_passes(self) -> float:
        """The frozen network sees the batch."""
        return 1 / 3

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The frozen network, and ``b`` of each level: a parameter for each of its channels."""
        from dgbench.models.levels import levels

        network.levels = levels(network.info, network.backbone, self.blocks)
        oracle = copy.deepcopy(network).requires_grad_(False)
        start = math.log(math.expm1(START - EPSILON))
        channels = [*(level.channels for level in network.levels), network.info.dim]
        raw = [nn.Parameter(network.head.weight.new_full((count,), start)) for count in channels]
        network.auxiliary.add_module("oracle", oracle)
        network.auxiliary.add_module("variances", nn.ParameterList(raw))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, possibly negative."""
        return forward.cross_entropy.mean() + self.penalty_weight * _penalty(forward)

    def auxiliary_loss(self, forward: Forward) -> Tensor:
        """The same penalty, of the variances."""
        return _penalty(forward)

    def auxiliary_rate(self) -> float:
        """As the attribute says."""
        return self.variance_rate


def _penalty(forward: Forward) -> Tensor:
    """The sum over levels of half the mean of ``(f - f0)^2 / s^2 + log s^2``."""
    auxiliary = forward.network.auxiliary
    oracle = cast("Network", auxiliary.get_submodule("oracle").eval())

    def said() -> tuple[Tensor, ...]:
        with torch.no_grad():
            features, inner = oracle.looked_into(forward.batch.x)
        return *inner, features

    before = forward.batch.once(("oracle", id(oracle)), said)
    axes = [*(level.axis for level in forward.network.levels), -1]
    total = torch.zeros_like(forward.features[0, 0])
    for number, (now, then, axis) in enumerate(zip((*forward.inner, forward.features), before, axes, strict=True)):
        variance = F.softplus(auxiliary.get_parameter(f"variances.{number}")) + EPSILON
        error = (now - then).square().movedim(axis, -1)
        total = total + (error / variance + variance.log()).mean() / 2
    return total
