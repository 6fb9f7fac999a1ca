"""What is missing of a plan: runs, trainings, and trainings whose weights were let go and are wanted again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dgbench.core.pieces import checkpoint, pieces
from dgbench.runs.candidates import lacking
from dgbench.runs.parts import part_of
from dgbench.runs.plan import Plan, RunSpec
from dgbench.runs.store import Store
from dgbench.runs.wish import Wish, lost
from dgbench.runs.wishes import Boards
from dgbench.train.spec import TrainingSpec


@dataclass(frozen=True)
class Todo:
    """What is to be done.

    Attributes:
        runs: Runs that are not finished, by training.
        first: Trainings that are not finished.
        again: Finished trainings that are to be done again, since a run, or a training that follows them, needs
            weights that were not kept, or the board's rule asks for them; by id, with the algorithms that need them.
        asked: What the board's rule asks for, of trainings that are to be done again for it.
    """

    runs: dict[str, tuple[RunSpec, ...]]
    first: frozenset[str]
    again: dict[str, tuple[str, ...]]
    asked: dict[str, Wish] = field(default_factory=dict)

    def trains(self, training: str) -> bool:
        """Whether a training is to be done."""
        return training in self.first or training in self.again

    def needs(self, training: TrainingSpec) -> tuple[str, ...]:
        """The trainings whose last weights are needed for what is to be done with a training."""
        return training.follows() if self.trains(training.id) else training.starts_from()

    def at_work(self, training: str) -> bool:
        """Whether there is anything to do with a training."""
        return self.trains(training) or training in self.runs


def todo(plan: Plan, store: Store, finished: Callable[[str], bool] | None = None, asked: Boards | None = None) -> Todo:
    """What is to be done of a plan.

    Args:
        plan: What is to be there.
        store: What is there.
        finished: Whether the run of an id is; by default as its files look, unread.
        asked: The board by itself, where a rule was given for it: weights that the rule keeps, and that were let go,
            are trained again.
    """
    over = finished or (lambda run: store.finished("run", run))
    runs: dict[str, tuple[RunSpec, ...]] = {}
    for run in plan.runs.values():
        if not over(run.id):
            runs[run.training] = (*runs.get(run.training, ()), run)
    waiting: dict[str, list[str]] = {}
    users: dict[str, list[str]] = {}
    for entry in plan.entries:
        waiting.setdefault(entry.run, []).append(entry.algorithm)
        users.setdefault(entry.training, []).append(entry.algorithm)
    for judge in plan.judges:
        waiting.setdefault(judge.run, []).append(judge.algorithm)
        users.setdefault(judge.training, []).append(judge.algorithm)
    have = {id_: pieces(note["files"]) for id_ in plan.trainings if (note := store.done("training", id_)) is not None}
    first = frozenset(plan.trainings.keys() - have.keys())
    again: dict[str, list[str]] = {}
    wanted: dict[str, Wish] = {}
    followed: dict[str, list[str]] = {}
    for id_, training in reversed(plan.trainings.items()):  # what follows others comes before them
        if id_ in have:
            steps = training.checkpoint_steps()
            needed = list(followed.get(id_, ())) if checkpoint(steps[-1]) not in have[id_] else []
            for run in runs.get(id_, ()):
                if lacking(part_of("averaging", run.averaging, run.id), run.averaging, steps, have[id_]):
                    needed += waiting[run.id]
            wish = asked.wish(id_) if asked else None
            if wish is not None and lost(wish, training, have[id_]):
                wanted[id_] = wish
                needed += users.get(id_, ())
            if needed:
                again[id_] = needed
        if id_ in first or id_ in again or id_ in runs:
            for start in training.follows() if id_ in first or id_ in again else training.starts_from():
                followed.setdefault(start, []).extend((*users.get(id_, ()), *followed.get(id_, ())))
    return Todo(runs, first, {id_: tuple(dict.fromkeys(names)) for id_, names in again.items()}, wanted)
