"""Tent on the head: it is trained on to be sure of what the stream shows.

Wang, Shelhamer, Liu, Olshausen, Darrell: Tent: Fully Test-Time Adaptation by Entropy Minimization. ICLR 2021.
arXiv 2006.10726. On the head alone (TentClf, Tent-C) in Iwasawa, Matsuo: Test-Time Classifier Adjustment Module for
Model-Agnostic Domain Generalization. NeurIPS 2021. Code: matsuolab/T3A.

    loss = mean_i H(p(. | x_i))        d loss / d logits_i = -p_i (log p_i + H_i) / b        Adam on weight and bias

Needs the features of a batch; costs a forward and a backward pass of the head for each of its ``steps``, none of the
network. Scores are those before the last update, as published, so with one step and batches of one it is strictly
causal. Deviations: the released code multiplies the learning rate of the training by 0.1, 1 or 10; here ``lr`` is the
rate itself, since a predictor does not know how the training went. Where it is 0 the head stays, and nothing adapts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import Network, Tensor
from dgbench.algorithms.predictors.learning_head import LearningHead, Timing, entropy_slopes
from dgbench.algorithms.slots import Predictor, Source, Stream, Track
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class TentHead(Predictor):
    """Entropy minimisation of the head.

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
        """``online`` unless nothing moves."""
        return "online" if self.lr else "inductive"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with a head of its own."""
        return _Tent(network.head.weight, network.head.bias, self.lr, self.steps, self.timing)


class _Tent(LearningHead):
    def slopes(self, logits: Tensor) -> tuple[Tensor, None]:
        """Of the mean entropy."""
        return entropy_slopes(logits), None
