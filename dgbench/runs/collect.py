"""The records of a board, read from the store without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.once import Once
from dgbench.core.results import Status
from dgbench.core.spec import Spec
from dgbench.runs.finished import NAMED, Finished
from dgbench.runs.headline import by_headline
from dgbench.runs.indicated import indicated
from dgbench.runs.judged import ENTRY, diverged, judged, waited_for, weighed
from dgbench.runs.roll import Roll, earlier_of
from dgbench.runs.store import Kind, Store
from dgbench.selection.records import CELL, METRICS, RUNS, Indicators, by_trial, none_at_hand, over_examples

_WHERE = ("algorithm", "title", "target", "trial", "draw")
Seconds = Mapping[str, Mapping[str, float]]
"""By trainings that others are part of, the seconds of each of these, by their ids."""
NOTHING: Seconds = MappingProxyType({})
Streams = Callable[[int | None], pl.DataFrame]
"""Reads the evaluated streams of a trial, or of all."""
_ASKED = (*_WHERE, "track", "run")
_IN_CASE = (
    pl.when((pl.col("split") == "target") & (pl.col("domain") == pl.col("tested"))).then("target").otherwise("domain")
)
"""As :func:`in_case`, of many rows."""


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

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Algorithm, target, trial and draw."""
        return self.algorithm, self.target, self.trial, self.draw


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
        streams: One row for each evaluated stream; or what reads them, where they are many.
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
        indicators: Reads what criteria take from single predictions and from weights, of candidates of which these are
            in the store.
        trials: Of algorithms that have more than the rules give to all: how many are asked for.
        earlier: Of trainings that others are part of (probes, rounds, what is merged): the seconds of each of these.
        files: Which files of the store that is read from, as :data:`dgbench.runs.finished.FILES`; None where it is not.
    """

    board: BoardCard
    streams: pl.DataFrame | Streams
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
    indicators: Indicators = field(default=none_at_hand, compare=False)
    trials: dict[str, int] = field(default_factory=dict)
    earlier: Seconds = field(default_factory=dict)
    files: pl.DataFrame | None = field(default=None, compare=False)

    @cached_property
    def metrics(self) -> pl.DataFrame:
        """One row for each evaluated stream, as :data:`dgbench.selection.records.METRICS`."""
        return self.streams if isinstance(self.streams, pl.DataFrame) else self.streams(None)

    def by_trial(self) -> Iterator[pl.DataFrame]:
        """The same, those of one trial after the other; never all of them are there, unless they were read before."""
        if isinstance(self.streams, pl.DataFrame) or "metrics" in vars(self):
            return by_trial(self.metrics)
        return map(self.streams, self.runs["trial"].unique().sort())

    def asked(self, algorithm: str) -> int:
        """How many trials of an algorithm are asked for."""
        return self.trials.get(algorithm, self.board.trials)

    def __repr__(self) -> str:
        return (
            f"<Records of '{self.board.name}': {self.runs.height} runs of {len(self.names)} algorithms, {self.missing} "
            f"missing, {self.metrics.height} evaluations>"
        )


def collect(board: BoardCard, store: Store, index: Spec | None = None) -> Records:
    """Everything that the store holds of a board. What is damaged is said, and missing.

    Where the criterion has judges, what they say of a candidate is among its records, and a run is not finished before
    they are.

    Args:
        board: The rules.
        store: Where finished work is kept.
        index: The list of the board's runs; by default the one that the store has.

    Raises:
        StoreError: the board was never run on this store, or the list of its runs is damaged.
    """
    listed = Roll.at(store, board) if index is None else Roll.of(index)
    entries, judges, rest = listed.entries.with_row_index("place"), listed.judges, listed.rest
    own = set(entries["training"])
    earlier = {id_: before for id_, before in earlier_of(listed.before).items() if id_ in own}
    found = Finished.of(store, store.index(board), listed.pieces)
    measured = by_headline(board, store, listed.work().select("run", "dataset"), found.measured)
    trained = _noted(found, "training", train_seconds="seconds", device="device")
    whole = measured.select("run").unique().collect()
    ran = _noted(found, "run", run_seconds="seconds").join(whole, on="run", how="semi", maintain_order="left")
    lost = diverged(store, judges, whole["run"])
    waiting = waited_for(judges, lost, whole)
    done = (
        entries.join(waiting, on=ENTRY, how="anti", maintain_order="left")
        .join(trained, on="training", maintain_order="left")
        .join(ran, on="run", maintain_order="left")
    )
    rows = done.select(*_ASKED, pl.col("domain").alias("tested"))
    made = found.notes.filter(pl.col("id").is_in(pl.concat([done["training"], done["run"]]).implode()))
    missing = entries.join(done, on="place", how="anti", maintain_order="left")

    streams = partial(_streams, board, measured, rows, judges, lost)
    weights = weighed(judges, streams() if found.weights.height else METRICS.to_frame(), found.weights)
    took = dict(trained.select("training", "train_seconds").iter_rows())
    return Records(
        board,
        streams,
        done.select(RUNS.names()),
        names=tuple(entries["algorithm"].unique(maintain_order=True)),
        missing=missing.height,
        failed=tuple(_failed(store, missing.filter(~pl.col("run").is_in(sorted(found.damaged))), waiting)),
        torch=tuple(made["torch"].unique().sort()),
        dgbench=tuple(made["dgbench"].unique().sort()),
        manifests=rest["manifests"],
        cases=tuple(rest["cases"]),
        weights=_weights(entries),
        indicators=Once(partial(indicated, board, store, done.select(*CELL, "draw", "run"), weights)),
        trials=listed.more_trials(board),
        earlier={id_: {one: took[one] for one in before if one in took} for id_, before in earlier.items()},
        files=found.files,
    )


def beaten(runs: pl.DataFrame, failed: Iterable[Failure]) -> tuple[Failure, ...]:
    """The draws that diverged in cells where another one is finished: results, which lose to every other.

    That a draw diverged is what its hyperparameters do. That it crashed, ran out of memory or was not done yet says
    nothing of them: it is missing. So is a cell of which every draw diverged, since no number of it would be honest.

    Args:
        runs: The finished runs.
        failed: Those that were tried and failed.
    """
    cells = set(runs.select(CELL).unique().iter_rows())
    return tuple(one for one in failed if one.status == "diverged" and (one.algorithm, one.target, one.trial) in cells)


def _streams(
    board: BoardCard,
    measured: pl.LazyFrame,
    rows: pl.DataFrame,
    judges: pl.DataFrame,
    lost: pl.DataFrame,
    trial: int | None = None,
) -> pl.DataFrame:
    """What the runs of a trial measured, or those of all, and what their judges say, as :data:`METRICS`."""
    asked, asking, gone = (one if trial is None else one.filter(trial=trial) for one in (rows, judges, lost))
    ids = pl.concat([asked["run"], asking["run"]])
    own = measured.filter(pl.col("run").is_in(ids.implode())).collect().with_columns(NAMED)
    metrics = (
        asked.join(own, on="run", maintain_order="left_right")
        .with_columns(domain=_IN_CASE, accuracy=pl.coalesce("headline", "accuracy"))
        .select(METRICS.names())
    )
    if asking.height:
        metrics = pl.concat([metrics, judged(asking, gone, metrics, own)])
    return over_examples(metrics) if board.selection.average == "examples" else metrics


def _noted(found: Finished, kind: Kind, **columns: str) -> pl.DataFrame:
    """Of a kind of finished work some notes, each under a name of its own."""
    return found.notes.filter(pl.col("kind") == kind).select(pl.col("id").alias(kind), **columns)


def _failed(store: Store, missing: pl.DataFrame, waiting: pl.DataFrame) -> Iterator[Failure]:
    """Of missing runs those that failed, or of which a judge did."""
    judges: dict[tuple[Any, ...], list[str]] = {}
    for *candidate, training in waiting.select(*ENTRY, "training").iter_rows():
        judges.setdefault(tuple(candidate), []).append(training)
    for entry in missing.iter_rows(named=True):
        trainings = [entry["training"], *judges.get(tuple(entry[name] for name in ENTRY), ())]
        if (ended := next(filter(None, map(store.failure, trainings)), None)) is not None:
            where = {key: entry[key] for key in _WHERE}
            yield Failure(**where, reason=ended.cause, status=ended.status, last_step=ended.last_step)


def _weights(entries: pl.DataFrame) -> dict[str, float]:
    datasets: dict[str, str] = dict(entries.select("target", "dataset").unique(maintain_order=True).iter_rows())
    sizes = Counter(datasets.values())
    return {target: 1 / sizes[dataset] for target, dataset in datasets.items()}


def in_case(row: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """Records call what is tested by the name of its case, of which it may be one of several."""
    if row["split"] == "target" and row["domain"] == entry["domain"]:
        return row | {"domain": entry["target"]}
    return row
