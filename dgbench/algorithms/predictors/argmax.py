"""The plain prediction: the class with the largest logit of the shared head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import Network, Tensor, nn
from dgbench.algorithms.slots import Predictor, Source, Stream


@dataclass(frozen=True)
class Argmax(Predictor):
    """Logits of the shared head."""

    scores: ClassVar[Literal["logits", "probabilities"]] = "logits"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream that remembers nothing."""
        return _Head(network.head)


class _Head(Stream):
    def __init__(self, head: nn.Linear) -> None:
        self.head = head

    def reset(self, seed: int) -> None:
        """There is no state."""

    def observe(self, features: Tensor) -> Tensor:
        """Logits ``[b, C]``."""
        return self.head(features)  # type: ignore[no-any-return]
