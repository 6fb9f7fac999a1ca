"""Prediction by an image and by its edges, which weigh more or less.

N. Efthymiadis, G. Tolias, O. Chum: Crafting Distribution Shifts for Validation and Training in Single Source Domain
Generalization. WACV 2025.

    P(c | x)  ~  softmax(f(x))_c^w softmax(f(e))_c^(1 - w)        e: the edge map of x

which is the softmax of ``w f(x) + (1 - w) f(e)``, the logits given here. With w = 1 it is the plain prediction. Sees
images; one forward pass for each view that weighs anything. Edges are drawn alike whenever an image is predicted:
sigma 1, Otsu's threshold. They hang together over an image, which is found out on the CPU for each batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import Network, Tensor
from dgbench.algorithms.slots import Predictor, Source, Stream
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class BothBranches(Predictor):
    """The product of what a network says of an image and of its edge map.

    Attributes:
        weight: w, what the image weighs; its edges weigh the rest.
    """

    weight: Fraction = 0.5
    scores: ClassVar[Literal["logits", "probabilities"]] = "logits"
    sees: ClassVar[Literal["features", "images"]] = "images"

    def needs(self) -> frozenset[str]:
        """A network that has learnt from edge maps."""
        return frozenset({"edge_views"})

    @property
    def passes(self) -> float:
        """One for each view."""
        return 2.0 if 0 < self.weight < 1 else 1.0

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream that remembers nothing."""
        return _Branches(network, self.weight)


class _Branches(Stream):
    def __init__(self, network: Network, weight: float) -> None:
        self.network = network
        self.weight = weight

    def reset(self, seed: int) -> None:
        """There is no state."""

    def observe(self, images: Tensor) -> Tensor:
        """Logits ``[b, C]`` of normalised images ``[b, 3, h, w]``."""
        if self.weight == 1:
            return self._said(images)
        of_edges = self._said(edges(self.network, images))
        if self.weight == 0:
            return of_edges
        return self.weight * self._said(images) + (1 - self.weight) * of_edges

    def _said(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits


def edges(network: Network, images: Tensor) -> Tensor:
    """The edge maps of images, both normalised as a network wants them, ``[b, 3, h, w]``."""
    from dgbench.data.pixels.edge_map import edge_maps, plain_lines
    from dgbench.data.pixels.normal import Normal

    normal = Normal(network.info.mean, network.info.std)
    return normal(edge_maps(normal.undone(images), plain_lines(len(images))))
