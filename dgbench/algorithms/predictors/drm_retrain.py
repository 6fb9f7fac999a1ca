"""DRM with retraining: the heads take steps on the test stream, on labels that they give each other.

Zhang, Wang, Liang, Zhang, Yu, Wang, Tao, Xie: Domain-Specific Risk Minimization for Domain Generalization. KDD 2023.
arXiv 2208.08661. Code: yfzhang114/AdaNPC.

    loss = sum over the K domain heads and the shared one of the mean over kept i of CE(h_j(z_i), label_i)

With P of :mod:`dgbench.algorithms.predictors.drm`, the mixture of the domain heads, ``label`` and confidence are those
of P (``drm``), of the mean of all heads (``uniform``), of the shared head (``last``), or for each head its own
(``own``); kept are examples whose confidence is at least ``threshold``. Scores are P before the last update, so with
one step and batches of one it is strictly causal. Needs domain heads, and the features of a batch; costs a forward and
a backward pass of K + 1 heads for each of its ``steps``. Deviations, beside those of the mixture: the confidence of
``drm`` and ``uniform`` is a probability, where the released code takes a softmax of probabilities, which for C classes
never exceeds e / (e + C - 1); ``lr`` is the rate itself, where that code multiplies the rate of the training. It also
stores a counter under the name of its ``step``, so that the number of updates follows from the number of the
configuration. Adam is one for all heads: where with ``own`` a head keeps no example of a batch and another keeps some,
its gradient is 0, and its moments move it all the same. The part ``drm_full`` retrains the whole network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.predictors.drm import DRMSteering, mixture
from dgbench.algorithms.predictors.learning_head import LearningHead
from dgbench.algorithms.predictors.pl_head import label_slopes
from dgbench.algorithms.slots import Source, Stream, Track
from dgbench.core.units import Count, NonNegative

Label = Literal["drm", "uniform", "last", "own"]


@dataclass(frozen=True)
class DRMRetraining(DRMSteering):
    """Mixture of domain heads that go on learning.

    Attributes:
        gamma: 0 weighs all heads alike, more favours the sure ones; ``hard`` takes the surest alone.
        label: Who labels.
        threshold: Predictions with at least this probability are labels; above 1 none are, and nothing adapts.
        lr: Learning rate of Adam.
        steps: Updates a batch.
    """

    label: Label = "drm"
    threshold: NonNegative = 0.75
    lr: NonNegative = 1e-3
    steps: Count = 1

    @property
    def track(self) -> Track:
        """``online`` unless nothing moves."""
        return "online" if self.lr and self.threshold <= 1 else "inductive"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with heads of its own."""
        return _Retraining(network, self)


class _Retraining(LearningHead):
    def __init__(self, network: Network, settings: DRMRetraining) -> None:
        heads = [network.stacked_domain_heads(), network.head]
        weight, bias = (torch.cat([getattr(head, name) for head in heads]) for name in ("weight", "bias"))
        super().__init__(weight, bias, settings.lr, settings.steps, "before")
        self.classes = network.classes
        self.settings = settings

    def slopes(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Of the cross-entropy of every head to the labels."""
        p = said(logits, self.classes)
        slopes, wanted = label_slopes(p.transpose(0, 1), *labelled(p, self.settings))
        return slopes.transpose(0, 1).flatten(1), wanted

    def scores(self, logits: Tensor) -> Tensor:
        """Probabilities ``[b, C]``."""
        return mixture(said(logits, self.classes)[:, :-1], self.settings.gamma)


def said(logits: Tensor, classes: int) -> Tensor:
    """What each head says, the shared one last, ``[b, K + 1, C]``, of the logits of all, ``[b, (K + 1) C]``."""
    return F.softmax(logits.view(len(logits), -1, classes), 2)


def labelled(p: Tensor, settings: DRMRetraining) -> tuple[Tensor, Tensor]:
    """The label that each head gets of each example, and whether it keeps it, both ``[K + 1, b]``.

    Args:
        p: What each head says, the shared one last, ``[b, K + 1, C]``.
        settings: Who labels, and who is sure.
    """
    if settings.label == "own":
        labelling = p
    elif settings.label == "last":
        labelling = p[:, -1:]
    elif settings.label == "uniform":
        labelling = p.mean(1, keepdim=True)
    else:
        labelling = mixture(p[:, :-1], settings.gamma)[:, None]
    confidence, label = (found.expand(p.shape[:2]).T for found in labelling.max(2))
    return label, confidence >= settings.threshold
