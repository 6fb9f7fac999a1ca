"""Pseudo-labels on the head: it is trained on with its own sure predictions as labels.

Lee: Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks. ICML workshop on
challenges in representation learning, 2013. At test time and on the head alone (PLClf) in Iwasawa, Matsuo: Test-Time
Classifier Adjustment Module for Model-Agnostic Domain Generalization. NeurIPS 2021. Code: matsuolab/T3A.

    loss = mean over {i: max p_i > threshold} of -log p_i[argmax p_i]        Adam on weight and bias

Needs the features of a batch; costs a forward and a backward pass of the head for each of its ``steps``. Scores are
those before the last update. Deviations: where no example of a batch is sure no step is taken; the released code takes
the mean of none, whose gradient is 0, and lets the moments of Adam move the weights all the same. ``lr`` is the rate
itself, where that code multiplies the rate of the training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, nn
from dgbench.algorithms.predictors.learning_head import LearningHead, Timing
from dgbench.algorithms.slots import Predictor, Source, Stream, Track
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class PLHead(Predictor):
    """Self-training of the head.

    Attributes:
        threshold: Predictions with a larger probability are labels; at 1 or above none are, and nothing adapts.
        lr: Learning rate of Adam.
        steps: Updates a batch.
        timing: Whether a batch's scores are those ``before`` its last update, or ``after`` it.
    """

    threshold: NonNegative = 0.9
    lr: NonNegative = 1e-3
    steps: Count = 1
    timing: Timing = "before"
    scores: ClassVar[Literal["logits", "probabilities"]] = "logits"

    @property
    def track(self) -> Track:
        """``online`` unless nothing moves."""
        return "online" if self.lr and self.threshold < 1 else "inductive"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with a head of its own."""
        return _Labelled(network.head, self)


class _Labelled(LearningHead):
    def __init__(self, head: nn.Linear, settings: PLHead) -> None:
        super().__init__(head.weight, head.bias, settings.lr, settings.steps, settings.timing)
        self.threshold = settings.threshold

    def slopes(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Of the cross-entropy to the head's own sure predictions."""
        p = F.softmax(logits, 1)
        confidence, label = p.max(1)
        return label_slopes(p, label, confidence > self.threshold)


def label_slopes(p: Tensor, label: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient in the logits of the mean cross-entropy over the examples that are kept, and whether there are any.

    Args:
        p: What softmax makes of the logits, ``[..., b, C]``.
        label: Classes, ``[..., b]``.
        kept: Booleans ``[..., b]``.
    """
    slopes = (p - F.one_hot(label, p.shape[-1]).to(p)) * kept[..., None]
    return slopes / kept.sum(-1).clamp(min=1)[..., None, None], kept.any()
