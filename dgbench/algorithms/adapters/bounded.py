"""Full fine-tuning of features that go through an activation, which bounds them or keeps them positive.

The adapter of URM (Krishnamachari, Ng, Foo: Uniformly Distributed Feature Representations for Fair and Robust Learning.
TMLR 2024): the activation stays when the network predicts, and in a model that leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.later import Network
from dgbench.algorithms.slots import Adapter
from dgbench.core.units import Activation


@dataclass(frozen=True)
class Bounded(Adapter):
    """Everything is trainable, and the head sees bounded features.

    Attributes:
        output: The activation.
    """

    output: Literal["tanh", "relu", "sigmoid"] = "tanh"

    def provides(self) -> frozenset[str]:
        """Features of a known range."""
        return frozenset({"bounded_features"})

    def activation(self) -> Activation:
        """As the attribute says."""
        return self.output

    def attach(self, network: Network, domains: int) -> None:
        """Nothing is frozen but what the backbone's name freezes; nothing is new."""
        network.unfreeze()
