"""How the images of a step are divided: among processes, and in each of them into micro-batches."""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.core.errors import DGBenchError


@dataclass(frozen=True)
class Division:
    """What a training is divided into; it changes numbers by rounding alone, so it is no part of an identity.

    Attributes:
        processes: How many take each step together.
        micro_batch: How many images at most go through the network at once; None lets all.
        rank: Which of the processes this is, from 0, which is the one that writes.

    Raises:
        DGBenchError: one of them is below 1.
    """

    processes: int = 1
    micro_batch: int | None = None
    rank: int = 0

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise DGBenchError(f"processes_per_training: expected at least 1, got {self.processes}")
        if self.micro_batch is not None and self.micro_batch < 1:
            raise DGBenchError(f"micro_batch: expected at least 1, got {self.micro_batch}")

    def __bool__(self) -> bool:
        """Whether anything is divided."""
        return self != WHOLE

    def rows(self, count: int) -> slice:
        """Which of so many rows are this process's."""
        return slice(count * self.rank // self.processes, count * (self.rank + 1) // self.processes)

    def noted(self) -> dict[str, str]:
        """What results note of it."""
        processes = {"processes": str(self.processes)} if self.processes > 1 else {}
        return processes | ({"micro_batch": str(self.micro_batch)} if self.micro_batch else {})


WHOLE = Division()
"""All images at once, in one process."""
