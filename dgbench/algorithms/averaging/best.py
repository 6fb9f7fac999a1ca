"""The weights of the best checkpoint, as the board's criterion sees it (early stopping, after the fact)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.slots import Averaging, State, Trajectory
from dgbench.core.units import Count


@dataclass(frozen=True)
class Best(Averaging):
    """Checkpoints stand for election.

    Attributes:
        limit: How many of them at most, evenly spaced, the last always among them. Each costs an evaluation.
    """

    limit: Count | Literal["all"] = "all"

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate for each checkpoint that stands, in the order of training."""
        steps = trajectory.steps
        n = self.count(len(steps))
        for place in range(1, n + 1):
            step = steps[place * len(steps) // n - 1]
            yield step, trajectory.at(step)

    def count(self, checkpoints: int) -> int:
        """As many as the limit allows."""
        return checkpoints if self.limit == "all" else min(self.limit, checkpoints)
