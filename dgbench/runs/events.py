"""What a tracker is told while a board is run: typed, plain, and without a path.

    def tracker(event: Event) -> None: ...

A tracker is anything that can be called with an event. It runs in the process that runs the board, one event after the
other, and nothing of it reaches a worker or a store: it changes no number and no id.

    BoardBegins
      TrainingBegins  Checkpoint ...  Validated ...  TrainingEnds      several trainings at a time, each in this order
    Selected ...                                                       once all is done that could be done
    BoardEnds                                                          whatever ended the work

Until models are selected no event holds anything that was computed from labels of a target. :class:`Selected` holds
what the board shows of the target, of the chosen model alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from dgbench.core.results import Status

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class BoardBegins:
    """A board is run. What was finished before is not told again.

    Attributes:
        board, title: Its name, and what it is called.
        criterion: What selects models.
        trainings, runs: How many the board has, finished or not.
    """

    board: str
    title: str
    criterion: str
    trainings: int
    runs: int


@dataclass(frozen=True)
class TrainingBegins:
    """A training begins, goes on from where it was stopped, or is there and only runs of it are left to do.

    Attributes:
        board: The board's name.
        training: The training's id; all events of a training have it.
        step, steps: How many steps are done, and how many there are.
        algorithms: The recipes that it serves; none where it only prepares others.
        targets: The cases that it serves.
        dataset, sources: What it learns from.
        trial: Number of the repetition.
        draws: The numbers of the sets of hyperparameters that it stands for.
        backbone: Its canonical name.
        hyperparameters: The part in each slot that shapes a training, as ``optimizer``, and each field of it, as
            ``optimizer.lr``; lists as text.
    """

    board: str
    training: str
    step: int
    steps: int
    algorithms: tuple[str, ...]
    targets: tuple[str, ...]
    dataset: str
    sources: tuple[str, ...]
    trial: int
    draws: tuple[int, ...]
    backbone: str
    hyperparameters: Mapping[str, Setting]


@dataclass(frozen=True)
class Checkpoint:
    """A training has come to a checkpoint, and predicted held-out clean images of its sources.

    A training that goes on tells first what it had measured before it was stopped.

    Attributes:
        training: Its id.
        step: Steps that are done.
        loss: The objective's, on the step's batch.
        accuracy: By source domain, in [0, 1].
        nll: Negative log-likelihood by source domain, in nats; of values the squared error of standardised ones.
    """

    training: str
    step: int
    loss: float
    accuracy: Mapping[str, float]
    nll: Mapping[str, float]


@dataclass(frozen=True)
class Validated:
    """A candidate of a run has predicted held-out images, clean and under shifts: what models are selected by.

    Attributes:
        training, run: Their ids.
        algorithms: Whose run it is.
        target: The case that it is for; empty where nothing is left out.
        step: The candidate's checkpoint.
        accuracy: By view, ``clean`` or a family of shifts; the mean over source domains, in [0, 1].
    """

    training: str
    run: str
    algorithms: tuple[str, ...]
    target: str
    step: int
    accuracy: Mapping[str, float]


@dataclass(frozen=True)
class TrainingEnds:
    """A training and its runs are done, or cannot be done.

    Attributes:
        training: Its id.
        status: How it ended.
        cause: What was said where it is not ``ok``.
    """

    training: str
    status: Status
    cause: str


@dataclass(frozen=True)
class Selected:
    """The board's criterion has chosen a model for a target and a trial.

    Attributes:
        algorithm, target, trial: Whose, and where.
        draw, step: Which it is: set of hyperparameters and checkpoint.
        training, run: Their ids.
        criterion, score: What chose it, and the number that it reached.
        accuracy: On the target, in [0, 1]: what the board shows.
    """

    algorithm: str
    target: str
    trial: int
    draw: int
    step: int
    training: str
    run: str
    criterion: str
    score: float
    accuracy: float


@dataclass(frozen=True)
class BoardEnds:
    """No more is told.

    Attributes:
        board: Its name.
        status: ``ok``, ``failed`` where some trainings failed, ``stopped`` where the work was broken off: trainings
            that have not ended go on when the board is run again.
        trainings, runs: How many were done.
        failed: How many trainings failed.
    """

    board: str
    status: Literal["ok", "failed", "stopped"]
    trainings: int
    runs: int
    failed: int


Event = BoardBegins | TrainingBegins | Checkpoint | Validated | TrainingEnds | Selected | BoardEnds
Tracker = Callable[[Event], None]
