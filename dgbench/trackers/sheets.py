"""From events to what all these programs have: sheets with settings, labels, and numbers by step.

Each training has a sheet, called by its id, and one more, called by the board, says which models were selected. They
are grouped by board. An adapter says how a sheet is opened, written on and closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from dgbench.core.names import in_short
from dgbench.runs.events import (
    BoardBegins,
    BoardEnds,
    Checkpoint,
    Event,
    Selected,
    Setting,
    TrainingBegins,
    TrainingEnds,
    Validated,
)

S = TypeVar("S")


class Program(Protocol[S]):
    """Where sheets are."""

    def open(self, board: str, name: str, settings: Mapping[str, Setting], labels: Mapping[str, str]) -> S:
        """Open the sheet of that name, a new one or one that was written on before.

        Args:
            board: The group.
            name: Of the sheet, one of its kind in the group.
            settings: What cannot change in a sheet of that name.
            labels: What may.
        """

    def write(self, sheet: S, step: int, numbers: Mapping[str, float]) -> None:
        """Write numbers of a step. Steps come in no order."""

    def close(self, sheet: S, status: str, cause: str) -> None:
        """Write no more. The status is that of a training, or ``stopped``."""


class Sheets(Generic[S]):
    """A tracker that keeps a sheet for each training.

    ======================== ==================================================== ====================
    on the sheet             number                                               its step
    ======================== ==================================================== ====================
    of a training            ``loss``, ``accuracy/DOMAIN``, ``nll/DOMAIN``        of the checkpoint
    of a training            ``validation/ALGORITHM/VIEW``, an accuracy           of the candidate
    of the board             ``accuracy/ALGORITHM/TARGET``, the chosen model's    number of the trial
    of the board             ``score/ALGORITHM/TARGET``, what chose it            number of the trial
    ======================== ==================================================== ====================
    """

    def __init__(self, program: Program[S]) -> None:
        self.program = program
        self.sheets: dict[str, S] = {}
        self.board = ""
        self.validated: set[tuple[str, int, str]] = set()

    def __call__(self, event: Event) -> None:
        """Write down what happened."""
        match event:
            case BoardBegins():
                about = {"title": event.title, "criterion": event.criterion}
                self.board = event.board
                self.sheets[event.board] = self.program.open(event.board, event.board, {}, about)
            case TrainingBegins():
                self.sheets[event.training] = self.program.open(
                    event.board, event.training, _settings(event), _labels(event)
                )
            case Checkpoint():
                self.program.write(self.sheets[event.training], event.step, _measured(event))
            case Validated():
                self._validated(event)
            case TrainingEnds():
                self.program.close(self.sheets.pop(event.training), event.status, event.cause)
            case Selected():
                where = f"{event.algorithm}/{event.target}"
                numbers = {f"accuracy/{where}": event.accuracy, f"score/{where}": event.score}
                self.program.write(self.sheets[self.board], event.trial, numbers)
            case BoardEnds():
                board = self.sheets.pop(event.board)
                while self.sheets:
                    self.program.close(self.sheets.popitem()[1], "stopped", "the work was broken off")
                self.program.close(board, event.status, "")

    def _validated(self, event: Validated) -> None:
        """Targets of one training share what was validated: it is written once."""
        for algorithm in event.algorithms:
            key = (event.training, event.step, algorithm)
            if key not in self.validated:
                self.validated.add(key)
                numbers = {f"validation/{algorithm}/{view}": value for view, value in event.accuracy.items()}
                self.program.write(self.sheets[event.training], event.step, numbers)


def _settings(event: TrainingBegins) -> dict[str, Setting]:
    about = {"dataset": event.dataset, "sources": in_short(event.sources), "backbone": event.backbone}
    return {**about, "trial": event.trial, "steps": event.steps, **event.hyperparameters}


def _labels(event: TrainingBegins) -> dict[str, str]:
    lists = {"algorithms": event.algorithms, "targets": event.targets, "draws": tuple(map(str, event.draws))}
    return {"board": event.board, **{name: ", ".join(values) for name, values in lists.items()}}


def _measured(event: Checkpoint) -> dict[str, float]:
    accuracy = {f"accuracy/{domain}": value for domain, value in event.accuracy.items()}
    return {"loss": event.loss, **accuracy, **{f"nll/{domain}": value for domain, value in event.nll.items()}}
