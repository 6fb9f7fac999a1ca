"""SHOT-IM at test time: features move until predictions are sure one by one, and all classes are there in the mean.

Liang, Hu, Feng: Do We Really Need to Access the Source Data? Source Hypothesis Transfer for Unsupervised Domain
Adaptation. ICML 2020. arXiv 2002.08546. Batch by batch on a stream in Iwasawa, Matsuo: Test-Time Classifier Adjustment
Module for Model-Agnostic Domain Generalization. NeurIPS 2021. Code: tim-learn/SHOT, matsuolab/T3A.

    loss = mean_i H(p_i) - H(mean_i p_i) + theta mean over {i: max p_i > 0.9} of -log p_i[argmax p_i]

Adam on all but the head, which stays, as SHOT's hypothesis does: on the backbone, or under LEVI, whose backbone stays
as it is, on its side network. The first two terms are minus the mutual information of image and class. Sees images; a
forward and a backward pass for each of its ``steps``, and three times what moves in state. Scores are those before the
last update. Batches should be larger than the number of classes: where all predictions of a batch are the same up to
rounding, as in a batch of one, the two entropies are the same, and no step is taken but on pseudo-labels.

Deviations: SHOT itself passes fifteen times over the whole target, with pseudo-labels of cluster centres; a stream is
seen once, so this is its loss alone. ``theta`` is 0 (SHOT-IM); the port for streams takes 0.1. Layers normalise by
their running statistics. ``lr`` is the rate itself, where that port multiplies the rate of the training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from dgbench.algorithms.later import F, Network, Tensor
from dgbench.algorithms.predictors.learning_head import Timing
from dgbench.algorithms.predictors.learning_network import (
    LearningNetwork,
    NetworkLearner,
    entropy,
    movable,
    of_the_sure,
)
from dgbench.algorithms.slots import Source, Stream, Track
from dgbench.core.units import Count, NonNegative

SURE = 0.9
"""Predictions with a larger probability are labels."""
ROUNDING = 1e-5
"""Probabilities that are no further from their mean are the same: float32 keeps no more of how entropies differ."""


@dataclass(frozen=True)
class SHOTIM(NetworkLearner):
    """Information maximisation of all but the head.

    Attributes:
        theta: Weight of pseudo-labels.
        lr: Learning rate of Adam.
        steps: Updates a batch.
        timing: Whether a batch's scores are those ``before`` its last update, or ``after`` it.
    """

    theta: NonNegative = 0.0
    lr: NonNegative = 5e-5
    steps: Count = 1
    timing: Timing = "before"

    @property
    def track(self) -> Track:
        """``online`` unless nothing moves."""
        return "online" if self.lr else "inductive"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with weights of its own, the head aside."""
        moves = [name for name in movable(network) if not name.startswith("head.")]
        return LearningNetwork(network, moves, partial(loss, theta=self.theta), self.lr, self.steps, self.timing)


def loss(logits: Tensor, theta: float) -> tuple[Tensor, Tensor]:
    """The loss of logits ``[b, C]``, and whether predictions differ or are labels; both scalars."""
    p = F.softmax(logits, 1)
    mean = p.mean(0)
    together = -(mean * mean.clamp(min=1e-12).log()).sum()
    information, differ = entropy(logits) - together, (p - mean).detach().abs().max() > ROUNDING
    if not theta:
        return information, differ
    said, sure = of_the_sure(logits, SURE)
    return information + theta * said, differ | sure
