"""What shapes a training."""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.slots import Adapter, Objective, Optimizer, Sampler


@dataclass(frozen=True)
class Parts:
    """The parts that shape a training."""

    sampler: Sampler
    adapter: Adapter
    objective: Objective
    optimizer: Optimizer
