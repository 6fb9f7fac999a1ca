"""What the algorithms of a plan have in common: trainings that they share, and recipes that come to the same."""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.runs.plan import Plan


@dataclass(frozen=True)
class Sharing:
    """Algorithms that live on the same trainings, and how many trainings and runs those are.

    Trainings that only judge others go by their criterion, ``(kfold)``, those of which others hear, or that they merge,
    as ``(earlier)``, and those before all others as ``(pretraining)``.
    """

    algorithms: tuple[str, ...]
    trainings: int
    runs: int


@dataclass(frozen=True)
class Idle:
    """An algorithm that adds nothing to the board.

    Attributes:
        algorithm: Its name.
        why: Which parts act on what is not there, or that another recipe means the same.
        equals: The algorithms of the board whose runs it shares in every cell.
    """

    algorithm: str
    why: str
    equals: tuple[str, ...]

    def __str__(self) -> str:
        result = f"is {' and '.join(self.equals)} here" if self.equals else "has a part without effect"
        return f"{self.algorithm} {result}: {self.why}"


def sharing(plan: Plan) -> list[Sharing]:
    """Which algorithms live on the same trainings; the largest groups first."""
    users: dict[str, tuple[str, ...]] = {}
    for entry in plan.entries:
        others = users.get(entry.training, ())
        users[entry.training] = others if entry.algorithm in others else (*others, entry.algorithm)
    for training in sorted(plan.only_judging()[0]):
        users[training] = (f"({plan.board.criterion})",)
    earlier = {one for spec in plan.trainings.values() for one in spec.reads()}
    earlier |= {str(spec.weights) for spec in plan.trainings.values() if spec.weights == spec.reference}
    groups: dict[tuple[str, ...], list[str]] = {}
    for training in plan.trainings:
        unused = "(earlier)" if training in earlier else "(pretraining)"
        groups.setdefault(users.get(training, (unused,)), []).append(training)
    runs: dict[str, set[str]] = {}
    for run in plan.runs.values():
        runs.setdefault(run.training, set()).add(run.id)
    rows = [
        Sharing(algorithms, len(ids), len({run for id_ in ids for run in runs.get(id_, ())}))
        for algorithms, ids in groups.items()
    ]
    return sorted(rows, key=lambda row: -len(row.algorithms))


def idle(plan: Plan) -> list[Idle]:
    """The algorithms that a part of theirs adds nothing to, or that come to the same runs as one before them."""
    runs: dict[str, list[str]] = {}
    why: dict[str, str] = {}
    for entry in plan.entries:
        runs.setdefault(entry.algorithm, []).append(entry.run)
        if entry.without_effect:
            why.setdefault(entry.algorithm, entry.without_effect)
    found, before = [], []
    for name, own in runs.items():
        equals = tuple(other for other in runs if other != name and runs[other] == own)
        if name in why:
            found.append(Idle(name, why[name], equals))
        elif own in before and not why.keys() & set(equals):
            found.append(Idle(name, "both come to the same trainings and predictions", equals))
        before.append(own)
    return found
