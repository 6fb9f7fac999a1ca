"""Pseudo-labels at test time: the whole network is trained on with its own sure predictions as labels.

Lee: Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks. ICML workshop on
challenges in representation learning, 2013. At test time (PLFull) in Iwasawa, Matsuo: Test-Time Classifier Adjustment
Module for Model-Agnostic Domain Generalization. NeurIPS 2021. Code: matsuolab/T3A.

    loss = mean over {i: max p_i > threshold} of -log p_i[argmax p_i]        Adam on backbone and head

Sees images; a forward and a backward pass for each of its ``steps``, and three times the weights in state. Scores are
those before the last update. Layers normalise by their running statistics, as everywhere in evaluation. A backbone that
is frozen in training moves, too, but for that of LEVI: there it is the side network and the head.

Deviations: where no example of a batch is sure no step is taken; the released code takes the mean of none, whose
gradient is 0, and lets the moments of Adam move the weights all the same. ``lr`` is the rate itself, where that code
multiplies the rate of the training by 0.1, 1 or 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from dgbench.algorithms.later import Network
from dgbench.algorithms.predictors.learning_head import Timing
from dgbench.algorithms.predictors.learning_network import LearningNetwork, NetworkLearner, movable, of_the_sure
from dgbench.algorithms.slots import Source, Stream, Track
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class PL(NetworkLearner):
    """Self-training of the whole network.

    Attributes:
        threshold: Predictions with a larger probability are labels; at 1 or above none are, and nothing adapts.
        lr: Learning rate of Adam.
        steps: Updates a batch.
        timing: Whether a batch's scores are those ``before`` its last update, or ``after`` it.
    """

    threshold: NonNegative = 0.9
    lr: NonNegative = 5e-5
    steps: Count = 1
    timing: Timing = "before"

    @property
    def track(self) -> Track:
        """``online`` unless nothing moves."""
        return "online" if self.lr and self.threshold < 1 else "inductive"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with weights of its own."""
        loss = partial(of_the_sure, threshold=self.threshold)
        return LearningNetwork(network, movable(network), loss, self.lr, self.steps, self.timing)
