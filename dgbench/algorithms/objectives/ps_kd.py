"""PS-KD: targets softened by what the network itself said of an image when it last saw it.

Kim, Ji, Yoon, Hwang: Self-Knowledge Distillation with Progressive Refinement of Targets. ICCV 2021. arXiv 2006.12000.

    target_i = (1 - a) y_i + a q_i        a = weight (step + 1) / steps        loss = mean_i CE(f(x_i), target_i)

``q_i`` are the probabilities of the last step that had image i, augmented as it was then; before there is one, the
target is the label. ``a`` grows by steps, where the paper's grows by epochs. Probabilities are kept in float16, N x C
of them, N being all images of the source domains. One forward and one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.objectives import by_image
from dgbench.algorithms.objectives.by_image import places
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class PSKD(Objective):
    """Cross-entropy against labels and past predictions.

    Attributes:
        weight: Share of the past prediction in the target at the end of training.
    """

    weight: Fraction = 0.8

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """Past probabilities ``[N, C]``, 0 where there are none; and where those of each domain begin."""
        like = network.head.weight
        past = like.new_zeros(sum(examples), network.classes, dtype=torch.float16)
        network.auxiliary.register_buffer("past", past)
        by_image.number(network, examples)

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        return self._softened(forward).cross_entropy.mean()

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """As of cross-entropy."""
        softened, n = self._softened(forward), len(forward.batch)
        return softened.cross_entropy.mean(), slopes(softened, forward.logits.new_full((n,), 1 / n))

    def remember(self, forward: Forward) -> None:
        """What the network says of the batch; of an image that is there twice, either may stay."""
        past = forward.network.auxiliary.get_buffer("past")
        past[places(forward)] = forward.log_probabilities.exp().to(past.dtype)

    def _softened(self, forward: Forward) -> Forward:
        """The same pass against the softened targets."""
        past = forward.network.auxiliary.get_buffer("past")[places(forward)].to(forward.logits.dtype)
        label = F.one_hot(forward.batch.y, past.shape[1]).to(past.dtype)
        weight = self.weight * (forward.step + 1) / forward.steps
        target = torch.where(past.sum(1, keepdim=True) > 0, (1 - weight) * label + weight * past, label)
        return replace(forward, batch=forward.batch.replace(target=target))
