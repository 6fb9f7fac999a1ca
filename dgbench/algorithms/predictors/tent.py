"""Tent: scales and shifts of normalisation layers move until predictions on the stream are sure.

Wang, Shelhamer, Liu, Olshausen, Darrell: Tent: Fully Test-Time Adaptation by Entropy Minimization. ICLR 2021.
arXiv 2006.10726. Code: DequanWang/tent.

    loss = mean_i H(p(. | x_i))      Adam on the scale and the shift of every layer that normalises

Layers that normalise by the batch do so with the statistics of the batch at hand. Sees images; a forward and a backward
pass of the network for each of its ``steps``, where the backward pass needs no gradients of other weights. Scores are
those of the forward pass before the last update, as published; so batches of one with one step are strictly causal.
Acts on layers that normalise, of a backbone that is frozen in training, too; without any it is the plain prediction.
Under LEVI the backbone takes the statistics of the batch alone, and scales and shifts of the side network move.

Deviations: the released code adapts batch normalisation alone; here layer and group normalisation move as well, which
is all that there is in a transformer. ``statistics = "source"`` keeps running statistics. A loss that is not finite
moves nothing. A map of one place in a batch of one image has no variance: it is normalised to 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from dgbench.algorithms.later import Network, Tensor
from dgbench.algorithms.predictors.learning_head import Timing
from dgbench.algorithms.predictors.learning_network import LearningNetwork, NetworkLearner, entropy, movable
from dgbench.algorithms.slots import Ground, Source, Stream, Track
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class Tent(NetworkLearner):
    """Entropy minimisation through the network.

    Attributes:
        lr: Learning rate of Adam.
        steps: Updates a batch.
        statistics: Whether layers normalise by those of the ``batch``, or by running ones of the ``source`` images.
        timing: Whether a batch's scores are those ``before`` its last update, or ``after`` it.
    """

    lr: NonNegative = 1e-3
    steps: Count = 1
    statistics: Literal["batch", "source"] = "batch"
    timing: Timing = "before"

    def acts_on(self) -> frozenset[Ground]:
        """Scales and shifts, and statistics of the batch."""
        by_batch: frozenset[Ground] = frozenset({"normalisation by batch"} if self.statistics == "batch" else ())
        return by_batch | {"normalisation"}

    def reduced(self) -> Tent | None:
        """Where nothing normalises by the batch, scales and shifts move all the same."""
        return replace(self, statistics="source") if self.statistics == "batch" else None

    @property
    def track(self) -> Track:
        """``online`` unless nothing moves."""
        return "online" if self.lr or self.statistics == "batch" else "inductive"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with scales and shifts of its own."""
        from dgbench.models.norms import affine, normalising_by_batch

        if self.statistics == "batch":
            network = normalising_by_batch(network)
        scales = affine(network)
        moves = [name for name in movable(network) if name in scales]
        return LearningNetwork(network, moves, _entropy, self.lr, self.steps, self.timing)


def _entropy(logits: Tensor) -> tuple[Tensor, None]:
    return entropy(logits), None
