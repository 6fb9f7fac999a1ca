"""What the averaging parts share that take the uniform mean of some checkpoints: SWA and LAWA."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dgbench.algorithms.averaging.averaged import Averaged
from dgbench.algorithms.slots import State, Trajectory
from dgbench.core.pieces import checkpoint


@dataclass(frozen=True)
class MeanOfCheckpoints(Averaged):
    """A uniform mean of checkpoints.

    Attributes:
        statistics: As in :class:`Averaged`; SWA's paper recomputes.
    """

    statistics: Literal["average", "recompute"] = field(default="recompute", kw_only=True)

    @abstractmethod
    def taken(self, steps: Sequence[int]) -> Sequence[int]:
        """Those of the checkpoints that count, ascending; the last is among them."""

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate."""
        from dgbench.models.effective import weighted_mean

        taken = self.taken(trajectory.steps)
        yield taken[-1], weighted_mean((1, trajectory.at(step)) for step in taken)

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The checkpoints that count."""
        return frozenset(map(checkpoint, self.taken(steps)))
