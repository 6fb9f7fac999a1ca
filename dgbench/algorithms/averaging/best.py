"""The weights of the best checkpoint, as the board's criterion sees it (early stopping, after the fact)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.slots import Averaging, State, Trajectory
from dgbench.core.pieces import checkpoint
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
        for step in self._standing(trajectory.steps):
            yield step, trajectory.at(step)

    def candidate(self, trajectory: Trajectory, step: int) -> State:
        """The checkpoint."""
        return trajectory.at(step)

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The checkpoints that stand."""
        return frozenset(map(checkpoint, self._standing(steps) if candidate is None else [candidate]))

    def _standing(self, steps: Sequence[int]) -> list[int]:
        n = self.count(len(steps))
        return [steps[place * len(steps) // n - 1] for place in range(1, n + 1)]

    def count(self, checkpoints: int) -> int:
        """As many as the limit allows."""
        return checkpoints if self.limit == "all" else min(self.limit, checkpoints)
