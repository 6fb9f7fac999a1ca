"""The plain prediction of a value: what the shared head gives out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import Network, Tensor, nn
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Predictor, Source, Stream


@dataclass(frozen=True)
class Value(Predictor):
    """The output of the shared head, a standardised value; runs note it in the unit of the data."""

    scores: ClassVar[Literal["logits", "probabilities", "values"]] = "values"

    def serves(self) -> frozenset[Targets]:
        """Values alone."""
        return frozenset({"values"})

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream that remembers nothing."""
        return OfHead(network.head)


class OfHead(Stream):
    """What a linear head gives out, ``[b, C]``."""

    def __init__(self, head: nn.Linear) -> None:
        self.head = head

    def reset(self, seed: int) -> None:
        """There is no state."""

    def observe(self, features: Tensor) -> Tensor:
        """Logits ``[b, C]``, or values ``[b, 1]``."""
        return self.head(features)  # type: ignore[no-any-return]
