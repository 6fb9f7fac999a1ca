"""The weights at the end of training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dgbench.algorithms.slots import Averaging, State, Trajectory
from dgbench.core.pieces import checkpoint


@dataclass(frozen=True)
class Last(Averaging):
    """No averaging and no choice."""

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate."""
        yield trajectory.steps[-1], trajectory.at(trajectory.steps[-1])

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The last checkpoint."""
        return frozenset({checkpoint(steps[-1])})
