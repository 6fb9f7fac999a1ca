"""What workers tell of their work while they do it. Plain data: it crosses from one process to another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Stage = Literal["views", "features", "trainings", "runs"]
STAGES: tuple[Stage, ...] = get_args(Stage)
EVERY = 1.0
"""Seconds between two notes of how far a training is."""


@dataclass(frozen=True)
class Note:
    """So much more of a stage is there: images of views and features, else trainings and runs.

    Attributes:
        stage: Which stage.
        amount: How much; a training grows by shares of one.
        seconds: What it took one worker; None where it was there before.
        done: Trainings or runs that were done, and not found done by another process.
    """

    stage: Stage
    amount: float
    seconds: float | None = None
    done: int = 0


@dataclass(frozen=True)
class Measured:
    """A training begins, or came to a checkpoint.

    Attributes:
        training: Its id.
        step: Steps that are done.
        rows: What was measured since this was last told; see :data:`dgbench.train.training.History`.
    """

    training: str
    step: int
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Predicted:
    """A run is there.

    Attributes:
        run: Its id.
        metrics: As its ``result.json`` has them.
    """

    run: str
    metrics: tuple[Mapping[str, Any], ...]


Tell = Callable[[Note | Measured | Predicted], None]


class Steps:
    """Tells now and then how far trainings are that take their steps together, mostly one.

    What was done before they were resumed took no time now. ``told`` is how much of them was told.
    """

    def __init__(self, steps: int, tell: Tell, trainings: int = 1) -> None:
        self.steps = steps
        self.trainings = trainings
        self.tell = tell
        self.told = 0.0
        self.clock = time.perf_counter()
        self.begun = False

    def seconds(self) -> float:
        """Since this was last asked."""
        before, self.clock = self.clock, time.perf_counter()
        return self.clock - before

    def __call__(self, step: int) -> None:
        """So many steps are done."""
        if not self.begun:
            self.begun = True
            self._note(self.trainings * step / self.steps, None)
        elif time.perf_counter() - self.clock > EVERY:
            self._note(self.trainings * (step + 1) / self.steps, self.seconds())

    def _note(self, amount: float, seconds: float | None) -> None:
        if amount > self.told:
            self.tell(Note("trainings", amount - self.told, seconds))
            self.told = amount


class Images:
    """Tells how many images are done."""

    def __init__(self, stage: Stage, total: int, tell: Tell) -> None:
        self.stage = stage
        self.left = total
        self.tell = tell
        self.clock = time.perf_counter()

    def __call__(self, images: int) -> None:
        """So many more images are done."""
        before, self.clock = self.clock, time.perf_counter()
        self.left -= images
        self.tell(Note(self.stage, images, self.clock - before))

    def all(self) -> None:
        """The rest was there already."""
        self.tell(Note(self.stage, self.left))
