"""What parts serve: recipes that predict classes, or values."""

from __future__ import annotations

from typing import ClassVar, Literal

from dgbench.core.registry import Slot

Targets = Literal["classes", "values"]
"""What is to be predicted of an image: its class, or a number."""


class Serving:
    """A part, as to what is predicted."""

    slot: ClassVar[Slot]

    def serves(self) -> frozenset[Targets]:
        """What may be predicted where the part is used: losses and scores are of classes, unless a part says more."""
        return frozenset({"classes"} if self.slot in ("objective", "predictor") else {"classes", "values"})

    def on_values(self) -> Serving:
        """What the part is where values are predicted: itself, or another registered part that does the same there."""
        return self
