"""DivDis, the diversifying side: heads that agree on the sources and are independent of each other on the target.

Lee, Yao, Finn: Diversify and Disambiguate: Learning From Underspecified Data. ICLR 2023. arXiv 2202.03418.

    loss = mean_h CE_h + l1 mean_{g<h} MI_gh + l2 mean_h KL(p_h || prior)
    MI_gh = sum_cd J_cd log(J_cd / (p_g p_h')_cd)      J = mean_u p_g(u) p_h(u)'      p_h = mean_u p_h(u)

over unlabelled images u of the target, a batch of them in every step. The prior is the labels' share in the labelled
batch; one is added to each class's count, as a batch may lack a class. Of two passes of the backbone, over labelled and
unlabelled images, each forth and back.

Deviations from the released code: of its two priors (``predictions``: what the heads say of the labelled batch, without
a gradient) labels are the default; probabilities are cut at 1e-8 before logarithms, and pairs without any mutual
information count as 0, where the code drops them, and is NaN if none is left. Which head predicts is the predictor's
part.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from dgbench.algorithms.adapters.divdis import logits_of_heads
from dgbench.algorithms.later import F, Tensor, torch
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.composition import UNLABELLED
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class DivDis(Objective):
    """Cross-entropy of all heads, mutual information between them, and the distance of each from the prior.

    Attributes:
        mutual_information: l1, what it counts that heads say the same of the target.
        balance: l2, what it counts that a head predicts other shares of classes than the prior.
        prior: The shares of classes that are expected of the target: those of the ``labels`` of the step, or of the
            heads' ``predictions`` on its labelled images.
    """

    mutual_information: NonNegative = 10.0
    balance: NonNegative = 10.0
    prior: Literal["labels", "predictions"] = "labels"

    def needs(self) -> frozenset[str]:
        """Heads to tell apart, and images to do so on."""
        return frozenset({"divdis_heads", UNLABELLED})

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        assert forward.unlabelled is not None
        labelled = logits_of_heads(forward.network, forward.features)
        told = F.softmax(logits_of_heads(forward.network, forward.unlabelled), -1)
        risk = F.cross_entropy(labelled.transpose(1, 2), forward.batch.y[:, None].expand(-1, labelled.shape[1]))
        prior = self._prior(forward.batch.targets(labelled.shape[2]), labelled)
        return risk + self.mutual_information * mutual_information(told) + self.balance * imbalance(told, prior)

    def _prior(self, labels: Tensor, labelled: Tensor) -> Tensor:
        """Shares of the classes, ``[C]``."""
        if self.prior == "predictions":
            return F.softmax(labelled.detach(), -1).mean((0, 1))
        counts = labels.sum(0) + 1
        return counts / counts.sum()


def mutual_information(told: Tensor) -> Tensor:
    """Between the predictions of two heads, in nats, the mean over all pairs; a scalar.

    Args:
        told: Probabilities ``[n, H, C]``.
    """
    joint = torch.einsum("ngc,nhd->ghcd", told, told) / len(told)
    marginal = told.mean(0)
    apart = torch.einsum("gc,hd->ghcd", marginal, marginal)
    each = (joint * (joint.clamp(min=1e-8).log() - apart.clamp(min=1e-8).log())).sum((2, 3))
    pairs = list(combinations(range(told.shape[1]), 2))
    return torch.stack([each[one, other] for one, other in pairs]).mean()


def imbalance(told: Tensor, prior: Tensor) -> Tensor:
    """``KL(mean prediction || prior)`` in nats, the mean over heads; a scalar.

    Args:
        told: Probabilities ``[n, H, C]``.
        prior: Shares of classes, ``[C]``.
    """
    mean = told.mean(0)
    return (mean * (mean.clamp(min=1e-8).log() - prior.clamp(min=1e-8).log())).sum(1).mean()
