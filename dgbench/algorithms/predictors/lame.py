"""LAME: the predictions of a batch are drawn towards those of their neighbours in it; nothing is learnt.

Boudiaf, Mueller, Ben Ayed, Bertinetto: Parameter-Free Online Test-Time Adaptation. CVPR 2022. arXiv 2201.05718.
Code: fiveai/LAME.

With q_i what the network says of example i, and w the symmetric affinity of its features, P minimises

    sum_i KL(P_i || q_i) - 1/2 sum_ij w_ij P_i . P_j        by        P_i <- softmax(log q_i + sum_j w_ij P_j)

``w = (A + A^T) / 2``, and ``A_ij`` is 1 where j is among the k examples nearest to i in the batch, by cosine. A batch
of one example keeps what the network says. Where labels come in runs this helps; where a batch mixes all classes it may
hurt. Needs the features of a batch of several; costs no pass of anything, but B^2 d + steps B^2 C multiplications, and
keeps nothing. Deviations: the released code leaves the affinity as it is, which then has no such objective, and stops
when that changes by less than 1e-8 of itself; here there are always as many ``steps`` as its most, so that nothing is
read back. It also takes the nearest example away as oneself, which among copies is another one; here oneself is no
neighbour. Its other two affinities are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, nn, torch
from dgbench.algorithms.predictors.adanpc import most_similar
from dgbench.algorithms.slots import Predictor, Source, Stream, Track
from dgbench.core.units import Count


@dataclass(frozen=True)
class LAME(Predictor):
    """Laplacian smoothing of the predictions of a batch.

    Attributes:
        k: Number of neighbours; all others where the batch is smaller.
        steps: Of the iteration.
    """

    k: Count = 5
    steps: Count = 100
    scores: ClassVar[Literal["logits", "probabilities"]] = "probabilities"

    @property
    def track(self) -> Track:
        """Predictions depend on the examples of the same batch."""
        return "online"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream that remembers nothing."""
        return _Smoothing(network.head, self)


class _Smoothing(Stream):
    def __init__(self, head: nn.Linear, settings: LAME) -> None:
        self.head = head
        self.settings = settings

    def reset(self, seed: int) -> None:
        """There is no state."""

    def observe(self, features: Tensor) -> Tensor:
        """Probabilities ``[b, C]``."""
        logs = F.log_softmax(self.head(features), 1)
        if len(features) == 1:
            return logs.exp()
        return smoothed(logs, affinity(features, self.settings.k), self.settings.steps)


def affinity(features: Tensor, k: int) -> Tensor:
    """Symmetric ``[b, b]``: for each pair how many of the two have the other among their k nearest, halved."""
    unit = F.normalize(features, dim=1)
    similarity = (unit @ unit.T).fill_diagonal_(-torch.inf)
    nearest = most_similar(similarity, min(k, len(features) - 1))
    near = torch.zeros_like(similarity).scatter_(1, nearest, 1)
    return (near + near.T) / 2


def smoothed(logs: Tensor, affinity: Tensor, steps: int) -> Tensor:
    """Probabilities ``[b, C]`` from log-probabilities of the same shape, by an affinity ``[b, b]``."""
    p = logs.exp()
    for _ in range(steps):
        p = F.softmax(logs + affinity @ p, 1)
    return p
