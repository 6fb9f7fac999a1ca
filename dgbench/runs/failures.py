"""What failed, in the words of the board: which algorithm, on which target, in which trial.

The store keeps a note of every training that failed, until it is done: ``failures/<id>.json``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dgbench.core.errors import DamagedError, DivergedError
from dgbench.core.results import LONGEST, Status
from dgbench.core.seals import MIDWAY, sealed
from dgbench.runs.plan import Entry, Plan
from dgbench.runs.store import Store

_NAMED = 3
"""Names that a list has in full."""
_PARTICULAR = re.compile(r"\b[0-9a-f]{12,}\b|\d+(\.\d+)?(e[+-]?\d+)?")
"""What may differ between two errors of one kind: ids and numbers."""


@dataclass(frozen=True)
class Failure:
    """A training that failed, or runs that come from it.

    Attributes:
        training: Its id.
        algorithm: The algorithms that wait for it.
        target: Their targets.
        trial: The trial.
        error: What went wrong.
        trace: Where in the code, if that was no error that dgbench foresees.
        status: Which kind of end it came to.
        last_step: Steps of the training that are kept; None where that is not known.
    """

    training: str
    algorithm: str
    target: str
    trial: int
    error: str
    trace: str = ""
    status: Status = "failed"
    last_step: int | None = None

    @property
    def where(self) -> str:
        """Whose it is."""
        return f"{self.algorithm}, {f'target {self.target}' if self.target else 'all domains'}, trial {self.trial}"

    def __str__(self) -> str:
        return f"{self.where}: {self.error}"


_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|STATUS_ALLOC_FAILED", re.IGNORECASE)
"""How torch says it of an accelerator (also where that is no error of a kind of its own), and of the CPU's memory; and
how cuBLAS and cuDNN say it."""


def status_of(error: Exception) -> Status:
    """Which kind of end an error is."""
    if isinstance(error, DivergedError):
        return "diverged"
    no_memory = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)))
    return "out of memory" if no_memory else "failed"


def steps_kept(store: Store, plan: Plan, training: str) -> int | None:
    """How far a training has come, as the store has it; None where that is damaged."""
    if store.finished("training", training):
        return plan.trainings[training].steps
    try:
        midway = sealed(store.folder("training", training), MIDWAY)
    except DamagedError:
        return None
    return midway["step"] if midway else 0


def failure(
    plan: Plan, training: str, error: str, trace: str = "", status: Status = "failed", last_step: int | None = None
) -> Failure:
    """The failure of a training of a plan."""
    before, entries = _whose(plan, training)
    algorithms, targets = (
        _several(list(dict.fromkeys(names)))
        for names in ([entry.title for entry in entries], [entry.target for entry in entries])
    )
    trial = plan.trainings[training].trial
    return Failure(training, before + algorithms, targets, trial, error[:LONGEST], trace, status, last_step)


def _whose(plan: Plan, training: str) -> tuple[str, list[Entry]]:
    """The candidates that a training of a plan is of, or what it is to them, in words."""
    if own := [entry for entry in plan.entries if entry.training == training]:
        return "", own
    judged = {judge.candidate for judge in plan.judges if judge.training == training}
    if own := [entry for entry in plan.entries if entry.candidate in judged]:
        return "what judges ", own
    followers = {training}
    for id_, spec in plan.trainings.items():  # each comes after those that it follows
        if followers.intersection(spec.follows()):
            followers.add(id_)
    judged = {judge.candidate for judge in plan.judges if judge.training in followers}
    waiting = [entry for entry in plan.entries if entry.training in followers or entry.candidate in judged]
    return "what comes before ", waiting


def note(store: Store, failed: Failure) -> Path:
    """Keep it in the store; where that is."""
    store.note_failure(failed.training, asdict(failed))
    return store.failure_note(failed.training)


def forget(store: Store, training: str) -> None:
    """It is done now."""
    store.note_failure(training, None)


def kind(error: str) -> str:
    """What errors have in common that differ in numbers and ids alone."""
    return _PARTICULAR.sub("#", error)


def by_kind(failures: Iterable[Failure]) -> list[str]:
    """A line for each kind of failure: the first of it, and how many more there are."""
    kinds: dict[str, list[Failure]] = {}
    for failed in failures:
        kinds.setdefault(kind(failed.error), []).append(failed)
    return [
        f"{first.where}{f' (and {len(others)} more)' if others else ''}: {first.error}"
        for first, *others in kinds.values()
    ]


def _several(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} others"
