"""DRM with retraining of the whole network (DRMFull): backbone and heads take steps on labels that the heads give.

Zhang, Wang, Liang, Zhang, Yu, Wang, Tao, Xie: Domain-Specific Risk Minimization for Domain Generalization. KDD 2023.
arXiv 2208.08661. Code: yfzhang114/AdaNPC.

    loss = sum over the K domain heads and the shared one of the mean over kept i of CE(h_j(f(x_i)), label_i)

It is :mod:`dgbench.algorithms.predictors.drm_retrain` with the features f moving as well: labels, confidence and scores
are those of that part, and so is what is said there of the released code. Sees images, and needs domain heads; costs a
forward and a backward pass of the network for each of its ``steps``, and three times the weights in state. Layers
normalise by their running statistics. A backbone that is frozen in training moves, too, but for that of LEVI: there it
is the side network and the heads. Deviation: ``lr`` is the rate itself, where the released code multiplies the rate of
the training by 0.1, 1 or 10.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.predictors.drm import mixture
from dgbench.algorithms.predictors.drm_retrain import DRMRetraining, labelled, said
from dgbench.algorithms.predictors.learning_network import LearningNetwork, movable
from dgbench.algorithms.slots import Source, Stream
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class DRMFull(DRMRetraining):
    """Mixture of domain heads on features that go on learning with them.

    Attributes:
        gamma: 0 weighs all heads alike, more favours the sure ones; ``hard`` takes the surest alone.
        label: Who labels.
        threshold: Predictions with at least this probability are labels; above 1 none are, and nothing adapts.
        lr: Learning rate of Adam.
        steps: Updates a batch.
    """

    lr: NonNegative = 5e-5
    sees: ClassVar[Literal["features", "images"]] = "images"

    @property
    def passes(self) -> float:
        """One forth and one back for each step."""
        return 3.0 * self.steps

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with weights of its own."""
        return _Retraining(network, self)


class _Retraining(LearningNetwork):
    """As its parent, on the logits of all heads, the shared one last, ``[b, (K + 1) C]``."""

    def __init__(self, network: Network, settings: DRMFull) -> None:
        from dgbench.models.network import Features

        heads = [f"domain_heads.{name}" for name, _ in network.stacked_domain_heads().named_parameters()]
        loss = partial(_loss, settings=settings, classes=network.classes)
        super().__init__(network, [*movable(network), *heads], loss, settings.lr, settings.steps, "before")
        self.features = Features(network)
        self.settings = settings

    def observe(self, images: Tensor) -> Tensor:
        """Probabilities ``[b, C]`` of normalised images ``[b, 3, h, w]``."""
        return mixture(said(super().observe(images), self.network.classes)[:, :-1], self.settings.gamma)

    def _logits(self, weights: Iterable[Tensor], images: Tensor) -> Tensor:
        mine = dict(zip(self.names, weights, strict=True))
        own = {f"network.{name}": weight for name, weight in mine.items()}
        features = torch.func.functional_call(self.features, own, (images,))
        weight, bias = (torch.cat([mine[f"domain_heads.{one}"], mine[f"head.{one}"]]) for one in ("weight", "bias"))
        return F.linear(features, weight, bias)


def _loss(logits: Tensor, settings: DRMFull, classes: int) -> tuple[Tensor, Tensor]:
    """The loss of logits ``[b, (K + 1) C]``, and whether any head keeps an example; both scalars."""
    label, kept = labelled(said(logits.detach(), classes), settings)
    logs = F.log_softmax(logits.view(len(logits), -1, classes), 2).transpose(0, 1)
    each = -logs.gather(2, label[..., None]).squeeze(2) * kept
    return (each.sum(1) / kept.sum(1).clamp(min=1)).sum(), kept.any()
