"""The one shape of every network here: a backbone that gives features, and a linear head on them."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass(frozen=True)
class Attention:
    """Where one block keeps its attention weights: rows ``q``, ``k``, ``v`` of one matrix ``[3d, d]``."""

    module: str
    parameter: str
    rows: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Backbone:
    """A feature extractor and what others must know to use it.

    Attributes:
        name: As on the command line, e.g. ``dgbench:vit-micro``.
        module: Maps normalised images ``[n, 3, h, w]`` to features ``[n, dim]``.
        dim: Number of features.
        size: Side of the square input, in pixels.
        mean, std: Normalisation of inputs in [0, 1], per channel.
        attention: One entry a block; empty where there is no attention.
    """

    name: str
    module: nn.Module
    dim: int
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    attention: tuple[Attention, ...] = field(default=())


class Network(nn.Module):
    """Backbone, linear head, and (for methods that train them) one further linear head per source domain.

    ``domain_heads`` holds its K heads stacked as one ``nn.Linear(dim, K * C)``: rows ``k*C`` to ``(k+1)*C`` are head k.
    """

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.info = backbone
        self.classes = classes
        self.backbone = backbone.module
        self.head = nn.Linear(backbone.dim, classes)
        self.domain_heads: nn.Linear | None = None

    def features(self, x: Tensor) -> Tensor:
        """Features ``[n, d]`` of normalised inputs."""
        return self.backbone(x)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[n, C]`` of the shared head."""
        return self.head(self.features(x))  # type: ignore[no-any-return]

    def domain_logits(self, features: Tensor) -> Tensor:
        """Logits ``[n, K, C]`` of the K domain heads."""
        if self.domain_heads is None:
            raise RuntimeError("this network has no domain heads; the adapter 'domain_heads' makes them")
        return self.domain_heads(features).unflatten(1, (-1, self.classes))  # type: ignore[no-any-return]
