"""The list of a board's runs, as a store keeps it."""

from __future__ import annotations

from contextlib import suppress

from dgbench.core.cards import BoardCard, Keep
from dgbench.core.dataset_card import other_headlines
from dgbench.core.errors import StoreError
from dgbench.runs.listed import INDEX
from dgbench.runs.plan import Plan
from dgbench.runs.roll import Roll
from dgbench.runs.store import Store
from dgbench.runs.wishes import Boards


def index(plan: Plan, keep: Keep = "chosen") -> dict[str, object]:
    """The runs of a board, as plain JSON: enough to collect its results without torch, and to say what stays."""
    starts = {
        id_: {kind: start for kind in ("weights", "reference") if (start := getattr(spec, kind)) in spec.starts_from()}
        for id_, spec in plan.trainings.items()
    }
    reads = {id_: list(read) for id_, spec in plan.trainings.items() if (read := spec.reads())}
    others = other_headlines(plan.board)
    return {
        "schema": INDEX,
        "criterion": plan.board.criterion,
        "keep": keep,
        **({"headline": others} if others else {}),
        **({"average": average} if (average := plan.board.selection.average) != "domains" else {}),
        "starts": {id_: found for id_, found in starts.items() if found},
        **({"reads": reads} if reads else {}),
        "manifests": {name: known.manifest for name, known in plan.datasets.items()},
        "cases": [case.name for case in plan.cases],
        "entries": [entry.row() for entry in plan.entries],
        **({"judges": [judge.row() for judge in plan.judges]} if plan.judges else {}),
    }


def grown(board: BoardCard, store: Store) -> dict[str, int]:
    """Of algorithms to which a board in a store gave more trials than the rules give to all: how many they have."""
    if board.looks:
        with suppress(StoreError):  # it was never run there
            return Roll.at(store, board).more_trials(board)
    return {}


def asked(plan: Plan, store: Store) -> Boards | None:
    """The board of a plan by itself, where its rules say which weights stay."""
    return None if plan.board.keep in (None, "none") else Boards(store, [index(plan, plan.board.keep)])
