"""How far a plan is, and how long the rest of it takes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgbench.runs.notes import Stage

SETTLED = 0.02
"""Share of a stage after which it is known how long the rest of it takes."""


@dataclass(frozen=True)
class HowFar:
    """How far a plan is, at one moment. The stages are those of :class:`dgbench.Progress`, in their order.

    Attributes:
        todo: How much there is in each stage that has something to do: ``views`` and ``features`` in images,
            ``trainings`` and ``runs``. Empty before the work begins.
        done: How much of that is done; a training grows by shares of one.
        failed: How much of it cannot be done.
        running: How many jobs are being worked on.
        remaining: Seconds to go, at the pace so far; None while that is not known.
        reading: A dataset that is being built or decoded, with how many of its pictures are done, and how many there
            are; None while there is none.
        stopped: Whether nothing will be said any more.
    """

    todo: Mapping[Stage, int]
    done: Mapping[Stage, float]
    failed: Mapping[Stage, int]
    running: int
    remaining: float | None
    reading: tuple[str, int, int] | None
    stopped: bool


class Outlook:
    """What is done, what failed, and how long the rest takes at the pace of each stage so far."""

    def __init__(self, todo: Mapping[Stage, int]) -> None:
        self.todo = dict(todo)
        self.done = dict.fromkeys(todo, 0.0)
        self.failed = dict.fromkeys(todo, 0)
        self._timed = dict.fromkeys(todo, 0.0)
        self._seconds = dict.fromkeys(todo, 0.0)
        self.workers = 1

    def advance(self, stage: Stage, amount: float, seconds: float | None) -> None:
        """As :class:`Progress` is told."""
        self.done[stage] += amount
        if seconds is not None:
            self._timed[stage] += amount
            self._seconds[stage] += seconds

    def left(self, stage: Stage) -> float:
        """What is to come."""
        return max(0.0, self.todo[stage] - self.done[stage] - self.failed[stage])

    def counts(self, stage: Stage) -> tuple[int, int]:
        """What is done, in whole pieces, and what there is."""
        return math.floor(self.done[stage] + 1e-6), self.todo[stage]

    def over(self) -> bool:
        """Whether nothing is to come."""
        return all(self.left(stage) < 1e-6 for stage in self.todo)

    def remaining(self) -> float | None:
        """Seconds to go; None while a stage that is not over has hardly begun."""
        seconds = 0.0
        for stage in self.todo:
            if self.left(stage) < 1e-6:
                continue
            if self._timed[stage] < SETTLED * self.todo[stage]:
                return None
            seconds += self.left(stage) * self._seconds[stage] / self._timed[stage]
        return seconds / max(1, self.workers)

    def how_far(self, running: int, reading: tuple[str, int, int] | None = None, *, stopped: bool = False) -> HowFar:
        """All that is known now, which later events do not change."""
        todo, done, failed = self.todo.copy(), self.done.copy(), self.failed.copy()
        return HowFar(todo, done, failed, running, self.remaining() if todo else None, reading, stopped)


class Following(ABC):
    """Is told what happens to a plan, and keeps in mind what that comes to."""

    def __init__(self) -> None:
        self.outlook = Outlook({})
        self.read: tuple[str, int, int] | None = None
        self.at_work = 0

    @abstractmethod
    def changed(self) -> None:
        """Is called after everything that happens but the end."""

    def reading(self, dataset: str, done: int, total: int) -> None:
        """Note how far a dataset is read."""
        self.read = (dataset, done, total) if done < total else None
        self.changed()

    def start(self, todo: Mapping[Stage, int]) -> None:
        """Note what is to be done."""
        self.outlook, self.read = Outlook(todo), None
        self.changed()

    def running(self, jobs: int) -> None:
        """Note how many are at work."""
        self.at_work = jobs
        self.outlook.workers = max(self.outlook.workers, jobs)
        self.changed()

    def advance(self, stage: Stage, amount: float, seconds: float | None) -> None:
        """Note what is done."""
        self.outlook.advance(stage, amount, seconds)
        self.changed()

    def fail(self, stage: Stage, amount: int) -> None:
        """Count it apart."""
        self.outlook.failed[stage] += amount
        self.changed()


def clock(seconds: float) -> str:
    """As on a clock: ``1:05``, ``2:00:31``."""
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours}:{minutes:02d}:{int(seconds) % 60:02d}" if hours else f"{minutes}:{int(seconds) % 60:02d}"
