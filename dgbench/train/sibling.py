"""A process beside the one that does a training: it takes the same steps, and writes nothing."""

from __future__ import annotations

from typing import Any

from dgbench.train.ending import History
from dgbench.train.training import Training


class Sibling(Training):
    """The state of a training that another process keeps; it goes on from where that one does."""

    def carry_on(self) -> None:
        """Take the steps that are left."""
        steps = range(self.step, self.spec.steps)
        with self.sources.batches(self.parts.sampler, steps) as batches:
            for step, batch in zip(steps, batches, strict=True):
                self.advance(step, batch)

    def start(self) -> None:
        """There is nothing to clear away."""

    def resume(self, progress: dict[str, Any]) -> None:
        """Read what the other process has kept."""
        self._take_up(progress)

    def checkpoint(self, step: int) -> History:
        """Validate only where what comes later follows from it."""
        if self.parts.optimizer.restart(self.spec.steps) is None:
            self._check(step)
        else:
            self._note_best(self._measured(step), step)
        return ()
