"""The plain prediction: the class with the largest logit of the shared head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import Network
from dgbench.algorithms.predictors.value import OfHead, Value
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Predictor, Source, Stream


@dataclass(frozen=True)
class Argmax(Predictor):
    """Logits of the shared head."""

    scores: ClassVar[Literal["logits", "probabilities", "values"]] = "logits"

    def serves(self) -> frozenset[Targets]:
        """Of values it is the head's output."""
        return frozenset({"classes", "values"})

    def on_values(self) -> Value:
        """The same of values."""
        return Value()

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream that remembers nothing."""
        return OfHead(network.head)
