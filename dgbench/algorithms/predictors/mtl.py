"""MTL, the predicting side: the mean of the images so far says what domain this is.

Blanchard, Deshmukh, Dogan, Lee, Scott: Domain Generalization by Marginal Transfer Learning. JMLR 22, 2021.
arXiv 1711.07910.

    logits = W phi(x) + b + V (m - m0)

``m`` is the mean of the features of all images of the stream up to the end of x's batch, ``m0`` the mean over source
domains of those of their training images. In the paper the marginal is that of the whole unlabelled sample; DomainBed
takes the mean of a batch. Costs a pass over the training images, as it is prepared, and keeps d numbers. Where an image
comes alone and first, m is its own features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.adapters.mtl import moved
from dgbench.algorithms.later import Network, Tensor
from dgbench.algorithms.slots import Ground, Predictor, Source, Stream, Track
from dgbench.core.errors import RecipeError


@dataclass(frozen=True)
class MTLMarginal(Predictor):
    """The head that is told the mean of a domain, and the mean of the stream."""

    scores: ClassVar[Literal["logits", "probabilities", "values"]] = "logits"
    needs_source: ClassVar[bool | Literal["validation"]] = True

    def needs(self) -> frozenset[str]:
        """Weights on the means."""
        return frozenset({"mean_head"})

    def acts_on(self) -> frozenset[Ground]:
        """What was learnt of the differences between domains."""
        return frozenset({"several domains"})

    @property
    def track(self) -> Track:
        """Predictions depend on the images before, and beside."""
        return "online"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream of which nothing was seen; of ``source`` it takes the means of domains."""
        if source is None:
            raise RecipeError("MTL holds a stream against the source domains: prepare it with their features")
        return _Marginal(network, source.mean(source.features))


class _Marginal(Stream):
    def __init__(self, network: Network, centre: Tensor) -> None:
        self.network = network
        self.centre = centre
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Nothing was seen."""
        self.mean = self.centre.new_zeros(self.centre.shape)
        self.count = 0

    def observe(self, features: Tensor) -> Tensor:
        """Logits ``[b, C]``."""
        self.count += len(features)
        self.mean = self.mean.lerp(features.mean(0), len(features) / self.count)
        logits: Tensor = self.network.head(features) + moved(self.network, self.mean[None], self.centre)
        return logits
