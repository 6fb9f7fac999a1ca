"""TAST: small heads on the features learn to say of each example what its nearest neighbours are.

Jang, Chung, Chung: Test-Time Adaptation via Self-Training with Nearest Neighbor Information. ICLR 2023.
arXiv 2207.10792. Code: mingukjang/TAST.

Supports are those of T3A: features with the class that the head gives them, of each class the M of least entropy, the
head's own rows among them from the start; a batch joins first. E projections h_e from d features to d / 4 give, with
``mu_ec`` the mean of h_e over the supports of class c,

    p_e(c | x) = softmax_c(10 cos(h_e(x), mu_ec))       N(x) = the k supports nearest to x by cosine, in all d features
    P(c | x) = mean over e, and over s in N(x), of p_e(c | s)
    loss = sum_e 1 / (b C) sum_i KL(mean over s in N(x_i) of onehot(argmax p_e(. | s)) || p_e(. | x_i))

    h_e(x) = (W (a_e * x)) * g_e + o_e      one matrix W, and for each member scales a_e, g_e and an offset o_e

Adam moves W, a, g and o, in ``steps`` updates a batch; scores are those before the last. Needs the features of a batch;
costs ``steps`` forward and backward passes of E heads of d^2 / 4 weights over a batch and all supports, none of the
network. Deviations: the released code draws new heads at every reset, so no stream can be shown twice; here one named
seed draws them, the same for every stream and in every trial, so intervals do not cover that draw. A class without
supports has similarity 0 to everything, as there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, nn, torch
from dgbench.algorithms.predictors.adanpc import most_similar
from dgbench.algorithms.predictors.descent import Descent, slopes
from dgbench.algorithms.predictors.t3a import Filtered
from dgbench.algorithms.slots import Predictor, Source, Stream, Track
from dgbench.core.seeds import seed as named_seed
from dgbench.core.units import Count, NonNegative

SCALE = 10.0


@dataclass(frozen=True)
class TAST(Predictor):
    """Votes of the nearest supports, through projections that learn from them.

    Attributes:
        members: E, how many projections there are.
        filter_size: M, how many supports a class keeps.
        k: How many neighbours an example has; M where that is fewer.
        lr: Learning rate of Adam; where it is 0 the projections stay as they were drawn.
        steps: Updates a batch.
    """

    members: Count = 20
    filter_size: Count = 20
    k: Count = 4
    lr: NonNegative = 1e-3
    steps: Count = 1
    scores: ClassVar[Literal["logits", "probabilities"]] = "probabilities"

    @property
    def track(self) -> Track:
        """Predictions depend on the examples before."""
        return "online"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream whose supports are the rows of the head."""
        return _SelfTraining(network.head, self)


class _SelfTraining(Filtered):
    def __init__(self, head: nn.Linear, settings: TAST) -> None:
        super().__init__(head, settings.filter_size)
        self.settings = settings
        self.descent = Descent(projections(head.weight, settings.members), settings.lr)
        self.classes = torch.eye(len(head.weight), device=head.weight.device)
        self.classes = self.classes.repeat_interleave(settings.filter_size, 0)

    def _support(self, features: Tensor) -> Tensor:
        return features

    def reset(self, seed: int) -> None:
        """The head's rows only, and the projections as they were drawn."""
        super().reset(seed)
        self.descent.reset()

    def observe(self, features: Tensor) -> Tensor:
        """Probabilities ``[b, C]``."""
        self._join(features)
        supports, there = self.supports.flatten(0, 1), torch.isfinite(self.entropy).flatten()
        classes = self.classes * there[:, None]
        near = nearest(features, supports, there, min(self.settings.k, self.settings.filter_size))

        def loss(weights: Sequence[Tensor], given: Sequence[Tensor]) -> Tensor:
            features, targets, *known = given
            logs = F.log_softmax(member_logits(weights, features, *known), 2)
            return F.kl_div(logs, targets, reduction="sum") / targets[0].numel()

        for _ in range(self.settings.steps):
            said = member_logits(self.descent.weights, supports, supports, classes)
            found = (near @ F.softmax(said, 2)).mean(0)
            targets = near @ F.one_hot(said.argmax(2), said.shape[2]).to(said)
            self.descent.step(slopes(loss, self.descent.weights, [features, targets, supports, classes]))
        return found


def projections(like: Tensor, members: int) -> list[Tensor]:
    """W ``[h, d]``, a ``[E, d]``, g ``[E, h]`` and o ``[E, h]``, by He's rule, for features as wide as ``like``."""
    dim = like.shape[1]
    narrow = max(1, dim // 4)
    draw = torch.Generator().manual_seed(named_seed("tast", members, dim))
    shapes = [(narrow, dim), (members, dim), (members, narrow)]
    drawn = [torch.randn(shape, generator=draw).mul_(math.sqrt(2 / shape[1])).to(like) for shape in shapes]
    return [*drawn, like.new_zeros(members, narrow)]


def member_logits(weights: Sequence[Tensor], features: Tensor, supports: Tensor, classes: Tensor) -> Tensor:
    """What each member says: ``[E, n, C]`` of features ``[n, d]``.

    Args:
        weights: Of :func:`projections`.
        features: Of whom.
        supports: ``[N, d]``.
        classes: For each support a 1 at its class, ``[N, C]``; none where there is no support.
    """
    shared, into, out, offset = weights

    def projected(rows: Tensor) -> Tensor:
        return ((rows * into[:, None]) @ shared.T) * out[:, None] + offset[:, None]

    held = projected(supports)
    centroids = F.normalize(classes.T @ held, dim=2)
    asked = held if features is supports else projected(features)
    return SCALE * F.normalize(asked, dim=2) @ centroids.mT


def nearest(features: Tensor, supports: Tensor, there: Tensor, k: int) -> Tensor:
    """For each example ``[b, d]`` equal weights on its nearest supports, of those that are there: ``[b, N]``."""
    similarity = (F.normalize(features, dim=1) @ F.normalize(supports, dim=1).T).masked_fill(~there, -2)
    near = torch.zeros_like(similarity).scatter_(1, most_similar(similarity, k), 1) * there
    return near / near.sum(1, keepdim=True)
