"""The one shape of every network here: a backbone that gives features, and a linear head on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.core.precision import Precision
from dgbench.core.units import Activation
from dgbench.models.consistency import Consistency
from dgbench.models.wording import Texts

Role = Literal["q", "k", "v", "out", "fc1", "fc2", "expand", "project"]
"""What a matrix does in its block: attention's four and its MLP's two, or a convolutional block's first and last
pointwise map."""


@dataclass(frozen=True)
class Matrix:
    """A weight, or some rows of one, that low-rank adapters can change.

    Attributes:
        module, parameter: Where it is in the backbone. A convolution counts as the matrix ``[out, in * kh * kw]``.
        role: What it does.
        rows: From which row to which; a fused weight ``[3d, d]`` holds q, k and v.
        block: Number of its block, from 0 at the input.
    """

    module: str
    parameter: str
    role: Role
    rows: tuple[int, int]
    block: int

    @property
    def name(self) -> str:
        """The parameter's name in the backbone."""
        return f"{self.module}.{self.parameter}"


@dataclass(frozen=True)
class Level:
    """A place in a backbone whose output can be looked at.

    Attributes:
        module: Name of the module in the backbone.
        channels: How many numbers its output has at each place.
        axis: Which of its axes they are along: 1 of maps, -1 of tokens.
    """

    module: str
    channels: int
    axis: int


@dataclass(frozen=True)
class Backbone:
    """A feature extractor and what others must know to use it.

    Attributes:
        name: Canonical, e.g. ``dgbench:vit-micro`` or ``timm:vit_tiny_patch16_224(size=96)``.
        module: Maps normalised images ``[n, 3, h, w]`` to features ``[n, dim]``.
        dim: Number of features.
        size: Side of the square input, in pixels.
        mean, std: Normalisation of inputs in [0, 1], per channel.
        matrices: What low-rank adapters can change, block by block; empty where no map of the network is known.
        freeze: Parameters whose names this regular expression matches never train.
    """

    name: str
    module: nn.Module
    dim: int
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    matrices: tuple[Matrix, ...] = field(default=())
    freeze: str | None = None

    def freezes(self, parameter: str) -> bool:
        """Whether the parameter of that name never trains."""
        return self.freeze is not None and re.match(self.freeze, parameter) is not None


class Network(nn.Module):
    """Backbone, linear head, and (for methods that train them) further linear heads: one per source domain, or others.

    ``domain_heads`` holds its K heads stacked as one ``nn.Linear(dim, K * C)``: rows ``k*C`` to ``(k+1)*C`` are head k.
    ``side`` is a small network beside the backbone, which joins it on the way to the head (``models/side.py``).
    ``auxiliary`` holds what an objective keeps between steps, as buffers and modules. It is saved with the network and
    is no part of what the network computes: effective weights are without it.

    Args:
        backbone: The feature extractor.
        classes: C.
        unit_features: Whether features are divided by their length, as heads made of texts want them.
        precision: What the backbone computes in, whoever asks and in whichever mode. Everything after it is float32.
        activation: What each feature then goes through; it stays when the network predicts.
    """

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        unit_features: bool = False,
        precision: Precision = "float32",
        activation: Activation = "identity",
    ) -> None:
        super().__init__()
        self.info = backbone
        self.classes = classes
        self.unit_features = unit_features
        self.precision = precision
        self.activation = activation
        self.backbone = backbone.module
        self.head = nn.Linear(backbone.dim, classes)
        self.domain_heads: nn.Linear | None = None
        self.side: Any = None
        self.consistency: Consistency | None = None
        """What an objective has learnt of differences of features, for a predictor; no logits follow from it."""
        self.auxiliary = nn.Module()
        self.texts: Texts | None = None
        """What is said of the classes, where the head starts from that."""
        self.levels: tuple[Level, ...] = ()
        """Where an objective looks into the backbone."""

    def features(self, x: Tensor) -> Tensor:
        """Features ``[n, d]`` of normalised inputs; float32, in whatever precision the backbone computed them."""
        if self.side is None:
            features = self._computed(self.backbone, x)
        else:
            with torch.no_grad():
                raw, inner = self._heard(self.side.levels, lambda: self._computed(self.backbone, x))
            features = self.side(inner, raw, self._computed(self.side.small, x))
        if self.activation != "identity":
            features = getattr(torch, self.activation)(features)
        return F.normalize(features, dim=1) if self.unit_features else features

    def looked_into(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Features, and what the backbone gives out at each of :attr:`levels` on the way to them; float32."""
        return self._heard(self.levels, lambda: self.features(x))

    def _computed(self, module: nn.Module, x: Tensor) -> Tensor:
        half = self.precision == "bfloat16"
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half):  # or an autocast around this one is left
            features: Tensor = module(x)
        return features.float() if half else features

    def _heard(self, levels: Sequence[Level], run: Callable[[], Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What a run gives, and what the backbone gave out at some levels meanwhile."""
        if not levels:
            return run(), ()
        found: dict[str, Tensor] = {}
        hooks = [
            self.backbone.get_submodule(level.module).register_forward_hook(
                lambda module, given, made, name=level.module: found.setdefault(name, made)
            )
            for level in levels
        ]
        try:
            features = run()
        finally:
            for hook in hooks:
                hook.remove()
        return features, tuple(found[level.module].float() for level in levels)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[n, C]`` of the shared head."""
        return self.head(self.features(x))  # type: ignore[no-any-return]

    def domain_logits(self, features: Tensor) -> Tensor:
        """Logits ``[n, K, C]`` of the K domain heads."""
        return self.stacked_domain_heads()(features).unflatten(1, (-1, self.classes))  # type: ignore[no-any-return]

    def stacked_domain_heads(self) -> nn.Linear:
        """All K of them as one, where the network has them."""
        if self.domain_heads is None:
            raise RuntimeError("this network has no domain heads; the adapter 'domain_heads' makes them")
        return self.domain_heads

    def unfreeze(self) -> None:
        """Make everything trainable but what the backbone's name freezes."""
        self.requires_grad_(True)
        for name, parameter in self.backbone.named_parameters():
            if self.info.freezes(name):
                parameter.requires_grad_(False)


def placed(network: Network, device: torch.device) -> Network:
    """On a device; convolutions are up to twice as fast with channels last, on CPUs and on tensor cores."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class Features(nn.Module):
    """The features of a network, as a module whose weights can be stood in for (``torch.func.functional_call``).

    Args:
        network: Its weights are named as there, below ``network.``.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """As :meth:`Network.features`."""
        return self.network.features(images)
