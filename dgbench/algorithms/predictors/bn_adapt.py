"""BN-adapt: batch normalisation with the statistics of the images that are predicted.

Schneider, Rusak, Eck, Bringmann, Brendel, Bethge: Improving Robustness Against Common Corruptions by Covariate Shift
Adaptation. NeurIPS 2020. arXiv 2006.16971.

    m = a m_B + (1 - a) m_S      v = a v_B + (1 - a) v_S      a = n / (n + prior)

``m_B`` and ``v_B`` are the mean and the biased variance of a batch of n images in each channel, ``m_S`` and ``v_S`` the
running ones of the training. A prior of 0 takes the batch alone (BN-adapt, TentNorm), a large one the source alone. One
forward pass, no gradients, no state: a batch knows nothing of those before. Sees images; acts on layers that normalise
by the batch, and without any it is the plain prediction. A batch of one image is normalised over the places of its own
maps; where a map has one place, nothing is left of its channels but the shift, so small batches want a prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import Network, Tensor
from dgbench.algorithms.slots import Ground, Predictor, Source, Stream, Track
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class BNAdapt(Predictor):
    """Statistics of the batch, mixed with those of the training.

    Attributes:
        prior: N, how many images the statistics of the training count as.
    """

    prior: NonNegative = 0.0
    scores: ClassVar[Literal["logits", "probabilities"]] = "logits"
    sees: ClassVar[Literal["features", "images"]] = "images"

    def acts_on(self) -> frozenset[Ground]:
        """Their statistics."""
        return frozenset({"normalisation by batch"})

    @property
    def track(self) -> Track:
        """A prediction depends on who shares its batch."""
        return "online"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with a network of its own."""
        return _ByBatch(network, self.prior)


class _ByBatch(Stream):
    def __init__(self, network: Network, prior: float) -> None:
        from dgbench.models.norms import normalising_by_batch

        self.network = normalising_by_batch(network, prior)

    def reset(self, seed: int) -> None:
        """There is no state."""

    def observe(self, images: Tensor) -> Tensor:
        """Logits ``[b, C]`` of normalised images ``[b, 3, h, w]``."""
        found: Tensor = self.network(images)
        return found
