"""kNN-NLL: the loss of a vote of nearest neighbours, among features of past batches.

Zhang, Wang, Jin, Yuan, Zhang, Wang, Jin, Tan: AdaNPC: Exploring Non-Parametric Classifier for Test-Time Adaptation.
ICML 2023. arXiv 2304.12566.

    q = phi / |phi|      N = the k most similar of the last ``queue`` unit features m_i, held constant
    P(y | x) = min(1, 1e-5 + sum_{i in N} w_i [y_i = y])        w = softmax over N of q.m_i / t
    t falls from 1 to 0.1 along the training
    loss = mean_i -log P(y_i | x_i) + mean_i CE(head(phi_i), y_i), where phi_i counts as a constant in the second term

The features are those to vote with (predictor ``adanpc``). The released code has no linear head; here one is trained on
features that it does not shape, so that every predictor, and the choice of a checkpoint, has one. A neighbourhood that
is all of one class, or without the example's own, teaches nothing, so ``k`` must be large. Deviation: the queue starts
empty; there, with random rows of class 0.

Cost: one forward and one backward pass, and ``queue`` x d numbers that are kept between steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Count

_FAR = -1e4
"""The similarity of a row that is empty; that of any other is at least -1."""


@dataclass(frozen=True)
class KNNLikelihood(Objective):
    """The likelihood of labels in a vote of past examples, and a linear head beside it.

    Attributes:
        k: Number of neighbours.
        queue: How many past examples are remembered.
    """

    k: Count = 150
    queue: Count = 3500

    def acts_on(self) -> frozenset[Ground]:
        """The vote has a gradient in the features alone."""
        return frozenset({"moving features"})

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """Unit features and classes of past examples, -1 where there is none yet, and the row that comes next."""
        weight = network.head.weight
        network.auxiliary.register_buffer("rows", weight.new_zeros(self.queue, network.info.dim))
        network.auxiliary.register_buffer("classes", weight.new_full((self.queue,), -1, dtype=torch.int64))
        network.auxiliary.register_buffer("next", weight.new_zeros(1, dtype=torch.int64))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        aside = replace(forward, logits=forward.network.head(forward.features.detach()))
        return aside.cross_entropy.mean() - self.votes(forward).log().mean()

    def votes(self, forward: Forward) -> Tensor:
        """P of each example's own class, ``[n]``, in [1e-5, 1]."""
        rows, classes = (forward.network.auxiliary.get_buffer(name) for name in ("rows", "classes"))
        similarity = (F.normalize(forward.features, dim=1) @ rows.t()).masked_fill(classes < 0, _FAR)
        nearest, which = similarity.topk(min(self.k, self.queue))
        temperature = 1 - 0.9 * forward.step / forward.steps
        weights = (nearest / temperature).softmax(1)
        own = classes[which] == forward.batch.y[:, None]
        return ((weights * own).sum(1) + 1e-5).clamp(max=1)

    def remember(self, forward: Forward) -> None:
        """The step's examples take the places of the oldest."""
        rows, classes, start = (forward.network.auxiliary.get_buffer(name) for name in ("rows", "classes", "next"))
        features, labels = F.normalize(forward.features, dim=1)[-self.queue :], forward.batch.y[-self.queue :]
        places = (start + torch.arange(len(labels), device=labels.device)) % self.queue
        rows.index_copy_(0, places, features)
        classes.index_copy_(0, places, labels)
        start.add_(len(labels)).remainder_(self.queue)
