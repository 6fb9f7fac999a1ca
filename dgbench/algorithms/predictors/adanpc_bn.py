"""AdaNPC-BN: a normalisation of the features before the neighbours' vote, which learns to make the vote surer.

Zhang, Wang, Jin, Yuan, Zhang, Wang, Jin, Tan: AdaNPC: Exploring Non-Parametric Classifier for Test-Time Adaptation.
ICML 2023. arXiv 2304.12566. Code: yfzhang114/AdaNPC.

    n = (z - mean of the batch) / sqrt(variance of the batch + 1e-5)      q = unit(scale n + shift)
    P = the vote of :mod:`dgbench.algorithms.predictors.adanpc`           loss = mean_i H(P(. | x_i))

The memory's source rows are normalised by the statistics of all of them. Adam moves scale and shift, from 1 and 0, in
``steps`` updates a batch; then confident examples join, each once. Scores are those before the last update. Needs the
labelled features of the source training images, and those of a batch; each update costs two votes of N d
multiplications for each example, one more backwards, and for that a copy of the memory. A batch of one example is
normalised by the statistics of the last batch that had several, or by those of the source.

Deviations: in the released code, ``compat="released"``, the layer is in evaluation mode, so its statistics are 0 and 1
and it scales and shifts alone; neither is the memory normalised; entropy and confidence are those of a softmax of P,
which is no longer P; and every update lets a batch into the memory again. Where a vote is unanimous, or would pass 1,
its gradient is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.predictors.adanpc import AdaNPC, Memory
from dgbench.algorithms.predictors.descent import Descent, slopes
from dgbench.algorithms.predictors.tent_bn import Statistics, scaled
from dgbench.algorithms.slots import Source, Stream, Track
from dgbench.core.errors import RecipeError
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class AdaNPCBN(AdaNPC):
    """Nearest neighbours of normalised features, in a memory that grows.

    Attributes:
        k: Number of neighbours; the whole memory where it is smaller.
        temperature: Small lets the most similar neighbours decide.
        threshold: Examples with max P at least this join the memory; above 1 none do.
        lr: Learning rate of Adam.
        steps: Updates a batch.
        compat: ``released`` does as the released code does.
    """

    lr: NonNegative = 1e-3
    steps: Count = 1
    compat: Literal["none", "released"] = "none"

    @property
    def track(self) -> Track:
        """Examples of a batch share its statistics, or what was learnt of those before."""
        return "online"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream whose memory starts with the source examples."""
        if source is None:
            raise RecipeError("AdaNPC-BN votes among labelled source examples: prepare it with their features")
        features = source.features
        mean, variance = torch.zeros_like(features[0]), torch.ones_like(features[0])
        if self.compat == "none":
            mean, variance = features.mean(0), features.var(0, correction=0)
            source = replace(source, features=scaled(features, mean, variance))
        return _Normalised(self, source, network.classes, Statistics(mean, variance))


class _Normalised(Memory):
    def __init__(self, settings: AdaNPCBN, source: Source, classes: int, statistics: Statistics) -> None:
        super().__init__(settings, source, classes)
        self.layer = settings
        self.released = settings.compat == "released"
        self.statistics = statistics
        ones = torch.ones_like(source.features[0])
        self.descent = Descent([ones, torch.zeros_like(ones)], settings.lr)

    def reset(self, seed: int) -> None:
        """Source examples only, and a new layer."""
        super().reset(seed)
        self.descent.reset()
        self.statistics.reset()

    def observe(self, features: Tensor) -> Tensor:
        """Votes ``[b, C]``, each in [1e-5, 1]."""
        plain = scaled(features, *self.statistics.last) if self.released else self.statistics.normalised(features)

        def loss(weights: Sequence[Tensor], given: Sequence[Tensor]) -> Tensor:
            plain, rows = given
            entropy: Tensor = torch.special.entr(self._judged(self.vote(_queries(weights, plain), rows))).sum(1)
            return entropy.mean()

        for update in range(self.layer.steps):
            queries, rows = _queries(self.descent.weights, plain), self.rows[: self.count]
            votes = self.vote(queries, rows)
            moved = slopes(loss, self.descent.weights, [plain, rows])
            if self.released or update == self.layer.steps - 1:
                self.join(queries, votes, self._judged(votes).max(1).values)
            self.descent.step(moved)
        return votes

    def _judged(self, votes: Tensor) -> Tensor:
        return F.softmax(votes, 1) if self.released else votes


def _queries(weights: Sequence[Tensor], plain: Tensor) -> Tensor:
    scale, shift = weights
    return F.normalize(scale * plain + shift, dim=1)
