"""Where a finished run comes from: what identifies it, what it was made with, and which boards list it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dgbench.core.errors import StoreError, did_you_mean, shown
from dgbench.core.files import read_json
from dgbench.core.spec import Spec, identity
from dgbench.runs.copies import SPEC
from dgbench.runs.listed import INDEX, read_list
from dgbench.runs.plan import Plan, RunSpec
from dgbench.runs.store import Store
from dgbench.train.spec import TrainingSpec

NOTED = ("torch", "dgbench", "device")
"""What every seal notes of its making, beside ``environment``."""

_SHOWN = 5
"""Names that a message offers."""


@dataclass(frozen=True)
class Place:
    """Where a run stands on a board."""

    board: str
    entry: Mapping[str, Any]

    def __str__(self) -> str:
        one = self.entry
        return f"{one['title']} on '{self.board}', target {one['target']}, trial {one['trial']}, draw {one['draw']}"


@dataclass(frozen=True)
class Origin:
    """What a run is made of.

    Attributes:
        run: What identifies it.
        trainings: All that it comes from, each after those that it starts from; its own is the last.
        noted: What it was made with, by name, as far as that was noted; several values where its training and itself
            were made differently.
        places: Where it stands, on each board that lists it.
    """

    run: RunSpec
    trainings: tuple[TrainingSpec, ...]
    noted: Mapping[str, tuple[str, ...]]
    places: tuple[Place, ...]


def resolved(begins: str, known: Iterable[str]) -> str | None:
    """The one id that begins so, or is so; None where there is none.

    Raises:
        StoreError: several do.
    """
    found = sorted(id_ for id_ in set(known) if id_.startswith(begins.lower())) if begins else []
    if len(found) > 1 and begins.lower() not in found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise StoreError(f"{len(found)} runs begin with {shown(begins)}: {', '.join(found[:_SHOWN])}{more}; give more")
    return begins.lower() if begins.lower() in found else next(iter(found), None)


def unknown(begins: str, store: Store, known: Iterable[str]) -> StoreError:
    """That there is no such run, and what may have been meant."""
    trainings = [
        id_ for id_ in store.pieces("training") if re.fullmatch("[0-9a-f]+", begins) and id_.startswith(begins)
    ]
    if trainings:
        served = dict.fromkeys(
            one["run"] for _, entries in _lists(store) for one in entries if one["training"] == trainings[0]
        )
        runs = f"; of its runs there are {', '.join(list(served)[:_SHOWN])}" if served else ""
        return StoreError(f"{trainings[0]} is a training, and no run{runs}")
    hint = did_you_mean(begins, known)
    close = hint if hint.startswith(" Did") else " The pages of a site and dgbench.records(...).runs name runs."
    return StoreError(f"there is no finished run {shown(begins)} in {store.place}, nor among submissions.{close}")


def finished(store: Store) -> list[str]:
    """The ids of all runs that lie in a store, whole or not."""
    return [id_ for id_ in store.pieces("run") if (store.folder("run", id_) / "done.json").is_file()]


def origin(store: Store, run: str) -> Origin:
    """Where a run of a store comes from.

    Raises:
        StoreError: it is not finished, or a version of dgbench made it that this one cannot follow.
        DamagedError: it, or a training that it comes from, is not what was written.
    """
    content = store.read("run", run, SPEC)
    spec = RunSpec.of(content)
    if spec.spec() != content or spec.id != run:
        raise StoreError(
            f"run {run} was made by another version of dgbench ({content.get('schema')}; this one makes "
            f"{spec.spec()['schema']}), so it cannot be done again here; check out {_made_by(store, run)}"
        )
    trainings = _chain(store, spec.training)
    notes = [note for note in (store.done("training", spec.training), store.done("run", run)) if note is not None]
    places = [Place(board, one) for board, entries in _lists(store) for one in entries if one["run"] == run]
    return Origin(spec, trainings, noted(notes), tuple(places))


def planned(plan: Plan, run: str, notes: Iterable[Spec]) -> Origin | None:
    """Where a run of a plan comes from; None where it has no such run."""
    if run not in plan.runs:
        return None
    chain: dict[str, TrainingSpec] = {}

    def add(id_: str) -> None:
        for start in plan.trainings[id_].follows():
            add(start)
        chain[id_] = plan.trainings[id_]

    add(plan.runs[run].training)
    places = tuple(Place(plan.board.name, entry.row()) for entry in plan.entries if entry.run == run)
    return Origin(plan.runs[run], tuple(chain.values()), noted(notes), places)


def noted(notes: Iterable[Spec]) -> dict[str, tuple[str, ...]]:
    """What seals note of their making, by name: the values that there are."""
    found: dict[str, dict[str, None]] = {}
    for note in notes:
        for name, value in {**{key: note.get(key) for key in NOTED}, **note.get("environment", {})}.items():
            if value:
                found.setdefault(name, {})[str(value)] = None
    return {name: tuple(values) for name, values in found.items()}


def _made_by(store: Store, run: str) -> str:
    note = store.done("run", run)
    return f"dgbench {note['dgbench']}" if note else "the one that made it"


def _chain(store: Store, training: str) -> tuple[TrainingSpec, ...]:
    found: dict[str, TrainingSpec] = {}

    def add(id_: str) -> None:
        spec = store.training(id_)
        if spec.id != id_ or identity(read_json(store.folder("training", id_) / SPEC)) != id_:
            raise StoreError(f"training {id_} was made by another version of dgbench, so it cannot be done again here")
        for start in spec.follows():
            add(start)
        found[id_] = spec

    add(training)
    return tuple(found.values())


def _lists(store: Store) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The runs of every list that the store has, with the name of its board; those of other versions are left out."""
    found = []
    for path in store.indices():
        try:
            content = read_list(path)
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is damaged ({error}); 'dgbench run' sets it aside and writes it again") from error
        if content.get("schema") == INDEX:
            found.append((path.parent.name, content["entries"]))
    return found
