"""AdaNPC: a vote of the nearest neighbours, among source examples and confident predictions made so far.

Zhang, Wang, Jin, Yuan, Zhang, Wang, Jin, Tan: AdaNPC: Exploring Non-Parametric Classifier for Test-Time Adaptation.
ICML 2023. arXiv 2304.12566.

    q = z / |z|      N = the k most similar rows m_i of the memory      w = softmax over N of q.m_i / temperature
    P(c | x) = min(1, sum_{i in N} w_i [y_i = c] + 1e-5)

A batch is predicted against the memory as it stands, then its confident examples join with their predicted class.
Deviations from the released code: confidence is max P, where the code takes a softmax of P, which for C classes never
exceeds e / (e + C - 1); the memory holds the source training examples, where the code's holds validation examples
too (and one random row), which then vote for themselves when models are selected. Among equally similar rows the
earlier ones count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.slots import Predictor, Source, Stream, Track
from dgbench.core.errors import RecipeError
from dgbench.core.units import Count, NonNegative, Positive


@dataclass(frozen=True)
class AdaNPC(Predictor):
    """Nearest neighbours in a memory that grows.

    Attributes:
        k: Number of neighbours; the whole memory where it is smaller.
        temperature: Small lets the most similar neighbours decide.
        threshold: Examples with max P at least this join the memory; above 1 none do, and nothing adapts.
    """

    k: Count = 50
    temperature: Positive = 0.1
    threshold: NonNegative = 0.9
    scores: ClassVar[Literal["logits", "probabilities"]] = "probabilities"
    needs_source: ClassVar[bool] = True

    @property
    def track(self) -> Track:
        """``online`` unless nothing is ever added."""
        return "inductive" if self.threshold > 1 else "online"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream whose memory starts with the source examples."""
        if source is None:
            raise RecipeError("AdaNPC votes among labelled source examples: prepare it with their features")
        return Memory(self, source, network.classes)


class Memory(Stream):
    """Rows ``[:count]`` of preallocated storage; a reset only forgets what lies behind the source examples."""

    def __init__(self, settings: AdaNPC, source: Source, classes: int) -> None:
        self.settings = settings
        self.classes = classes
        self.rows = F.normalize(source.features, dim=1)
        self.labels = source.labels.clone()
        self.count = self.initial = len(source.labels)

    def reset(self, seed: int) -> None:
        """Source examples only."""
        self.count = self.initial

    def observe(self, features: Tensor) -> Tensor:
        """Votes ``[b, C]``, each in [1e-5, 1]."""
        queries = F.normalize(features, dim=1)
        votes = self.vote(queries, self.rows[: self.count])
        if self.settings.track == "online":
            self.join(queries, votes, votes.max(1).values)
        return votes

    def vote(self, queries: Tensor, rows: Tensor) -> Tensor:
        """Of the rows nearest to each query ``[b, d]``, which may be differentiated in."""
        similarity = queries @ rows.T
        neighbours = most_similar(similarity, self.settings.k)
        weights = F.softmax(similarity.gather(1, neighbours) / self.settings.temperature, 1)
        members = F.one_hot(self.labels[neighbours], self.classes).to(weights)
        return (torch.einsum("bk,bkc->bc", weights, members) + 1e-5).clamp(max=1)

    def join(self, queries: Tensor, votes: Tensor, confidence: Tensor) -> None:
        """Let confident queries into the memory, with the class that most of them voted for."""
        sure = confidence >= self.settings.threshold
        self._add(queries[sure], votes.max(1).indices[sure])

    def _add(self, rows: Tensor, labels: Tensor) -> None:
        count = self.count + len(labels)
        if count > len(self.labels):  # double, so that each row is copied a bounded number of times
            free = max(count, 2 * len(self.labels)) - len(self.labels)
            self.rows = F.pad(self.rows, (0, 0, 0, free))
            self.labels = F.pad(self.labels, (0, free))
        self.rows[self.count : count] = rows
        self.labels[self.count : count] = labels
        self.count = count


def most_similar(similarity: Tensor, k: int) -> Tensor:
    """Columns of the k largest values in each row of ``[b, N]``, ascending; of equal values the first ones.

    ``topk`` alone leaves open which of equal values it takes.
    """
    k = min(k, similarity.shape[1])
    least = similarity.topk(k).values[:, -1:]
    above, level = similarity > least, similarity == least
    room = k - above.sum(1, keepdim=True)
    chosen = above | (level & (level.cumsum(1) <= room))
    return chosen.nonzero()[:, 1].view(-1, k)
