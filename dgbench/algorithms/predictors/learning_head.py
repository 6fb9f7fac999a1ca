"""A linear head that goes on learning at test time, from what it says itself: shared by Tent, PL and DRM on heads."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from dgbench.algorithms.later import F, Tensor, torch
from dgbench.algorithms.predictors.descent import Descent
from dgbench.algorithms.slots import Stream

Timing = Literal["before", "after"]
"""Whether scores of a batch are those before its last update, as published, or after it, for one more pass through the
head."""


class LearningHead(Stream):
    """Logits of a private copy of a head, which takes steps on every batch.

    Args:
        weight, bias: ``[m, d]`` and ``[m]``.
        lr: Of Adam.
        steps: Updates a batch.
        timing: Which scores are given.
    """

    def __init__(self, weight: Tensor, bias: Tensor, lr: float, steps: int, timing: Timing) -> None:
        self.descent = Descent([weight, bias], lr)
        self.steps = steps
        self.timing = timing

    def reset(self, seed: int) -> None:
        """The head as it was trained."""
        self.descent.reset()

    @abstractmethod
    def slopes(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """The gradient of the loss of a batch in its logits, both ``[b, m]``, and whether a step is wanted."""

    def scores(self, logits: Tensor) -> Tensor:
        """What is said of logits ``[b, m]``: the same, unless a method makes something else of them."""
        return logits

    def observe(self, features: Tensor) -> Tensor:
        """Scores ``[b, C]``."""
        logits = self._logits(features)
        for update in range(self.steps):
            if update:
                logits = self._logits(features)
            slopes, wanted = self.slopes(logits)
            self.descent.step([slopes.T @ features, slopes.sum(0)], wanted)
        return self.scores(self._logits(features) if self.timing == "after" else logits)

    def _logits(self, features: Tensor) -> Tensor:
        weight, bias = self.descent.weights
        return F.linear(features, weight, bias)


def entropy_slopes(logits: Tensor) -> Tensor:
    """Gradient of the mean entropy of softmax predictions in the logits, both ``[b, C]``: ``-p (log p + H) / b``."""
    logs = F.log_softmax(logits, 1)
    p = logs.exp()
    entropy = torch.special.entr(p).sum(1, keepdim=True)
    slopes: Tensor = -p * (logs + entropy) / len(logits)
    return slopes
