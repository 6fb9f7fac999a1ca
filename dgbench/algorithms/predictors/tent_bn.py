"""Tent before the head: a new batch normalisation of the features, whose scale and shift learn to be sure.

Wang, Shelhamer, Liu, Olshausen, Darrell: Tent: Fully Test-Time Adaptation by Entropy Minimization. ICLR 2021.
arXiv 2006.10726. With a layer of its own before the head (TentPreBN, Tent-BN) in Iwasawa, Matsuo: Test-Time Classifier
Adjustment Module for Model-Agnostic Domain Generalization. NeurIPS 2021. Code: matsuolab/T3A.

    n = (z - mean of the batch) / sqrt(variance of the batch + 1e-5)      logits = head(scale n + shift)
    loss = mean_i H(p(. | x_i))                                           Adam on scale and shift, from 1 and 0

It is for networks that have no normalisation to adapt. The head never saw normalised features, so predictions change
before anything is learnt, and with ``lr`` 0 it is not the source model: that is how it is published. Needs the features
of a batch; costs two passes of the head for each of its ``steps``. Scores are those before the last update. Deviation:
a batch of one example has no variance, and the released code raises there; here it takes the statistics of the last
batch that had several, or those of a new layer, 0 and 1, where there was none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import Network, Tensor, nn, torch
from dgbench.algorithms.predictors.descent import Descent
from dgbench.algorithms.predictors.learning_head import Timing, entropy_slopes
from dgbench.algorithms.slots import Predictor, Source, Stream, Track
from dgbench.core.units import Count, NonNegative

EPS = 1e-5


@dataclass(frozen=True)
class TentBN(Predictor):
    """Entropy minimisation of a normalisation between features and head.

    Attributes:
        lr: Learning rate of Adam.
        steps: Updates a batch.
        timing: Whether a batch's scores are those ``before`` its last update, or ``after`` it.
    """

    lr: NonNegative = 1e-3
    steps: Count = 1
    timing: Timing = "before"
    scores: ClassVar[Literal["logits", "probabilities"]] = "logits"

    @property
    def track(self) -> Track:
        """Examples of a batch share its statistics, even where nothing is learnt."""
        return "online"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with a new layer."""
        return _Normalised(network.head, self)


class _Normalised(Stream):
    def __init__(self, head: nn.Linear, settings: TentBN) -> None:
        self.head = head
        self.settings = settings
        fresh = head.weight.new_zeros(head.in_features)
        self.descent = Descent([torch.ones_like(fresh), fresh], settings.lr)
        self.statistics = Statistics(fresh, torch.ones_like(fresh))

    def reset(self, seed: int) -> None:
        """A new layer."""
        self.descent.reset()
        self.statistics.reset()

    def observe(self, features: Tensor) -> Tensor:
        """Logits ``[b, C]``."""
        plain = self.statistics.normalised(features)
        logits = self._logits(plain)
        for update in range(self.settings.steps):
            if update:
                logits = self._logits(plain)
            slopes = entropy_slopes(logits) @ self.head.weight
            self.descent.step([(slopes * plain).sum(0), slopes.sum(0)])
        return self._logits(plain) if self.settings.timing == "after" else logits

    def _logits(self, plain: Tensor) -> Tensor:
        scale, shift = self.descent.weights
        return self.head(scale * plain + shift)  # type: ignore[no-any-return]


class Statistics:
    """Mean and variance of the last batch that had several examples; of what it is made with, before there was one."""

    def __init__(self, mean: Tensor, variance: Tensor) -> None:
        self.start = self.last = (mean, variance)

    def reset(self) -> None:
        """Forget all batches."""
        self.last = self.start

    def normalised(self, features: Tensor) -> Tensor:
        """Features ``[b, d]`` with mean 0 and variance 1, by their own statistics, if they are several."""
        if len(features) > 1:
            self.last = (features.mean(0), features.var(0, correction=0))
        return scaled(features, *self.last)


def scaled(features: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Features ``[b, d]`` normalised by some statistics ``[d]``."""
    return (features - mean) / (variance + EPS).sqrt()
