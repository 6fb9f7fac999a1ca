"""SagNet: a classifier that cannot use styles, on features that tell a style classifier nothing of the class.

Nam, Lee, Park, Yoon, Yoo: Reducing Domain Gap by Reducing Style Bias. CVPR 2021. arXiv 1910.11645.

With the mean m and the standard deviation s of a feature vector as its style, n = (phi - m) / s, and a partner j of i:

    a_i = n_i s' + m',  with m' = t m_i + (1 - t) m_j, s'^2 likewise, t ~ U(0, 1)     style at random
    b_i = sg(n_k) s_i + m_i                                                          content at random
    network:      mean CE(head(a), y) + w mean over examples and classes of -log softmax(style(b))
    style head:   mean CE(style(b), y)

As in DomainBed styles are those of the vector of features; the paper takes them of each channel of a feature map.
Deviations from DomainBed, which makes three passes of the network and two steps of its features: both losses of the
features are descended in one step, so ``w`` is their ratio, and the style head learns on the features of that pass. One
forward and one backward pass in all. The same content is at random in both losses with the style head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import F, Network, Tensor, nn, torch
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Forward
from dgbench.core.units import NonNegative

EPSILON = 1e-5


@dataclass(frozen=True)
class SagNet(Objective):
    """Cross-entropy with styles at random, and an adversary that looks at styles alone.

    Attributes:
        adversary_weight: w, how much it counts that the style head is at a loss.
    """

    adversary_weight: NonNegative = 0.1

    def compares_domains(self) -> bool:
        """Styles and contents are exchanged in the whole batch."""
        return True

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The style head, of the shape of the network's own."""
        network.auxiliary.add_module("style", nn.Linear(network.info.dim, network.classes).to(network.head.weight))

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Draw whose style and whose content comes in, and how much of the own style stays."""
        n, device = len(batch), batch.x.device
        styles, contents = (torch.randperm(n, generator=generator).to(device) for _ in range(2))
        return batch.replace(drawn=(styles, torch.rand(n, 1, generator=generator).to(device), contents))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        partner, own, _ = forward.batch.drawn
        mean, variance, content = _taken_apart(forward.features)
        mixed = [own * part + (1 - own) * part[partner] for part in (mean, variance)]
        logits = forward.network.head(content * (mixed[1] + EPSILON).sqrt() + mixed[0])
        unsure = -F.log_softmax(_style_logits(forward), 1).mean()
        return F.cross_entropy(logits, forward.batch.y) + self.adversary_weight * unsure

    def auxiliary_loss(self, forward: Forward) -> Tensor:
        """Cross-entropy of the style head."""
        return F.cross_entropy(_style_logits(forward), forward.batch.y)


def _style_logits(forward: Forward) -> Tensor:
    """Of the style head on content at random, ``[n, C]``."""
    mean, variance, content = _taken_apart(forward.features)
    other = content.detach()[forward.batch.drawn[2]]
    scores: Tensor = forward.network.auxiliary.get_submodule("style")(other * (variance + EPSILON).sqrt() + mean)
    return scores


def _taken_apart(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and unbiased variance ``[n, 1]`` of each vector, and what is left of it ``[n, d]``."""
    mean, variance = features.mean(1, keepdim=True), features.var(1, keepdim=True)
    return mean, variance, (features - mean) / (variance + EPSILON).sqrt()
