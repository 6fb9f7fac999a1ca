"""A whole algorithm from elsewhere, in the slots that it fills: it has weights, an update and optimizers of its own.

The class is that of a code base with DomainBed's interface (``core/elsewhere.py`` says which, and who may name one). No
card can name these parts; the loop hands the class its batches (``train/elsewhere.py``), and none of the methods below
is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import Network, Tensor, torch
from dgbench.algorithms.slots import Adapter, Objective, Optimizer
from dgbench.algorithms.step import Forward
from dgbench.core.elsewhere import Whole


@dataclass(frozen=True)
class ItsOwnUpdate(Whole, Objective):
    """The class, and what it is given, which identify the part."""

    def loss(self, forward: Forward) -> Tensor:
        """The class's own affair."""
        raise NotImplementedError(self.algorithm)


@dataclass(frozen=True)
class ItsOwnWeights(Adapter):
    """All that moves is what the class moves."""

    def attach(self, network: Network, domains: int) -> None:
        """The network is as the class has made it."""


@dataclass(frozen=True)
class ItsOwnOptimizers(Optimizer):
    """The class has optimizers, and rates, of its own."""

    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """The class's own affair."""
        raise NotImplementedError

    def rate(self, step: int, steps: int) -> float:
        """The class's own affair."""
        raise NotImplementedError
