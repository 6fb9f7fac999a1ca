"""The records of a board, read from the store without torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.errors import DamagedError
from dgbench.core.files import read_json
from dgbench.core.results import Status
from dgbench.core.seals import checked
from dgbench.core.spec import Spec, canonical
from dgbench.runs.store import Store
from dgbench.selection.records import METRICS, RUNS

_WHERE = ("algorithm", "title", "target", "trial", "draw")


@dataclass(frozen=True)
class Failure:
    """A run that could not be done.

    Attributes:
        algorithm, title: Whose it was.
        target, trial, draw: Where.
        reason: What was said when it, or the training that it needs, failed.
        status: Which kind of end it came to.
        last_step: Steps of its training that are kept; None where that is not known.
    """

    algorithm: str
    title: str
    target: str
    trial: int
    draw: int
    reason: str
    status: Status = "failed"
    last_step: int | None = None


@dataclass(frozen=True)
class Repeat:
    """A submission of runs that the store holds itself, which stand for it.

    Attributes:
        submission, algorithm: Its id, and what the board calls these runs.
        level: How much of it others have seen.
        identical: Whether it has the same predictions, bit for bit, in every run.
        difference: The largest between an accuracy on a target there and here, in [0, 1].
    """

    submission: str
    algorithm: str
    level: str
    identical: bool
    difference: float


@dataclass(frozen=True, repr=False)
class Records:
    """What a board's finished runs measured.

    Attributes:
        board: The rules.
        metrics: One row for each evaluated stream.
        runs: One row for each finished run.
        names: The algorithms, as the runs call them, in the board's order.
        missing: How many runs of the board are not finished.
        failed: Those of them that were tried and failed.
        torch, dgbench: The versions that made them.
        manifests: SHA-256 of each dataset.
        cases: Names of the board's cases, in its order.
        weights: Of the cases in every mean: each dataset counts once, however many cases it has.
        levels: Of algorithms that were submitted: how much of them others have seen (``dgbench.submissions``).
        submitted: Of these algorithms: the id of the submission.
        repeats: Submissions of runs that are here anyway.
    """

    board: BoardCard
    metrics: pl.DataFrame
    runs: pl.DataFrame
    names: tuple[str, ...]
    missing: int
    failed: tuple[Failure, ...]
    torch: tuple[str, ...]
    dgbench: tuple[str, ...]
    manifests: dict[str, str]
    cases: tuple[str, ...]
    weights: dict[str, float]
    levels: dict[str, str] = field(default_factory=dict)
    submitted: dict[str, str] = field(default_factory=dict)
    repeats: tuple[Repeat, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<Records of '{self.board.name}': {self.runs.height} runs of {len(self.names)} algorithms, {self.missing} "
            f"missing, {self.metrics.height} evaluations>"
        )


def collect(board: BoardCard, store: Store, index: Spec | None = None) -> Records:
    """Everything that the store holds of a board. What is damaged is said, and missing.

    Args:
        board: The rules.
        store: Where finished work is kept.
        index: The list of the board's runs; by default the one that the store has.

    Raises:
        StoreError: the board was never run on this store, or the list of its runs is damaged.
    """
    index = index or store.read_index(board)
    metrics: dict[str, list[Any]] = {name: [] for name in METRICS}
    runs: list[dict[str, Any]] = []
    made: list[dict[str, Any]] = []
    failed: list[Failure] = []
    training = cache(partial(store.done, "training"))
    for entry in index["entries"]:
        try:
            trained, ran = training(entry["training"]), store.done("run", entry["run"])
            if trained is None or ran is None:
                if (ended := store.failure(entry["training"])) is not None:
                    where = {key: entry[key] for key in _WHERE}
                    failed.append(Failure(**where, reason=ended.cause, status=ended.status, last_step=ended.last_step))
                continue
            result = read_json(checked(store.folder("run", entry["run"]), "result.json", ran["files"]))
        except DamagedError as error:
            store.say(error)
            continue
        made += [ran, trained]
        streams = [in_case(row, entry) for row in result["metrics"]]
        for name, column in metrics.items():
            column += [row[name] if name in row else entry[name] for row in streams]
        measured = {"train_seconds": trained["seconds"], "run_seconds": ran["seconds"], "device": trained["device"]}
        runs.append(entry | measured | {"hyperparameters": canonical(entry["hyperparameters"])})
    return Records(
        board,
        pl.DataFrame(metrics, METRICS),
        table(runs, RUNS),
        names=tuple(dict.fromkeys(entry["algorithm"] for entry in index["entries"])),
        missing=len(index["entries"]) - len(runs),
        failed=tuple(failed),
        torch=tuple(sorted({piece["torch"] for piece in made})),
        dgbench=tuple(sorted({piece["dgbench"] for piece in made})),
        manifests=index["manifests"],
        cases=tuple(index["cases"]),
        weights=_weights(index["entries"]),
    )


def _weights(entries: list[dict[str, Any]]) -> dict[str, float]:
    datasets = {entry["target"]: entry["dataset"] for entry in entries}
    sizes = Counter(datasets.values())
    return {target: 1 / sizes[dataset] for target, dataset in datasets.items()}


def in_case(row: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """Records call what is tested by the name of its case, of which it may be one of several."""
    if row["split"] == "target" and row["domain"] == entry["domain"]:
        return row | {"domain": entry["target"]}
    return row


def table(rows: list[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    """Records of a schema, of what more there is in each row nothing."""
    return pl.DataFrame({name: [row[name] for row in rows] for name in schema}, schema=schema)
