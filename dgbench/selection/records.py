"""What models are selected and ranked from: two tables of records, checked before anything is computed from them.

A third, of indicators, is read only where a criterion asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

import polars as pl

from dgbench.core.errors import StoreError
from dgbench.core.judges import KINDS
from dgbench.core.registry import TRACKS
from dgbench.selection.statistics import Range

METRICS = pl.Schema(
    {
        "algorithm": pl.String(),
        "title": pl.String(),
        "track": pl.String(),
        "target": pl.String(),
        "trial": pl.Int64(),
        "draw": pl.Int64(),
        "step": pl.Int64(),
        "split": pl.String(),
        "domain": pl.String(),
        "view": pl.String(),
        "accuracy": pl.Float64(),
        "nll": pl.Float64(),
        "n": pl.Int64(),
        "digest": pl.String(),
        "run": pl.String(),
    }
)
"""One row for each evaluated stream of images.

``target`` names the case: the domain left out, ``photo > sketch`` where each domain trains alone, with the dataset's
name before it on boards of several. In rows of the split ``target``, ``domain`` is that name too. ``trial`` is a split
seed, ``draw`` a draw of hyperparameters (0: the recipe's own), ``step`` a checkpoint. ``split`` is ``validation``
(held-out images of the source domains), ``target``, or the kind of work that judges the candidate
(``dgbench.core.judges``): what that measured then stands in the candidate's name. ``view`` is ``clean`` or
the shift family that the images went through. ``accuracy`` lies in [0, 1]; on boards with another headline
(``dgbench.core.dataset_card.headlines``) it is that measure of the stream, which selects and ranks in its place, or
minus that where less of it is better, as of an error: more is better of whatever stands there. Of values it is at most
1. ``nll`` is in nats (NaN where only classes, or values, are known), ``n`` counts images. ``digest`` is a hash of the
predictions.
"""

RUNS = pl.Schema(
    {
        "run": pl.String(),
        "training": pl.String(),
        "algorithm": pl.String(),
        "target": pl.String(),
        "dataset": pl.String(),
        "sources": pl.List(pl.String()),
        "trial": pl.Int64(),
        "draw": pl.Int64(),
        "backbone": pl.String(),
        "pretrained_on": pl.String(),
        "families": pl.List(pl.String()),
        "hyperparameters": pl.String(),
        "train_seconds": pl.Float64(),
        "run_seconds": pl.Float64(),
        "device": pl.String(),
        "passes": pl.Float64(),
        "without_effect": pl.String(),
    }
)
"""One row for each run of an algorithm.

``sources`` are the domains of ``dataset`` that its training learnt from, ``pretrained_on`` says in words what the
backbone learnt from before (empty: nothing), ``families`` are the shift families that its training images went through,
``without_effect`` says which parts of its recipe had none (empty: all had one).

Two algorithms that come to the same training and the same prediction share a run.
"""

TOGETHER = "all source domains"
"""What the domain of validation records is called on boards that average over examples."""

CELL = ("algorithm", "target", "trial")
"""One choice is made in each."""
CANDIDATE = (*CELL, "draw", "step")
"""What is chosen among."""

INDICATED = ("calibration", "confidence", "atc", "doc", "nuclear_norm", "agreement")
WEIGHED = ("flatness", "discrepancy")
INDICATORS = pl.Schema(
    {**{name: METRICS[name] for name in CANDIDATE}, **dict.fromkeys((*INDICATED, *WEIGHED), pl.Float64())}
)
"""One row for each candidate of which something is at hand: what criteria take from single predictions
(:data:`INDICATED`, ``dgbench.selection.indicators``), and from its weights (:data:`WEIGHED`); null where something is
not known of it. ``flatness`` is minus the rise of the validation loss near the weights, in nats, and ``discrepancy``
how far features of the source domains lie apart; both may be NaN."""
Indicators = Callable[[], pl.DataFrame]
"""Gives the :data:`INDICATORS` of a board's candidates: they are read when they are needed."""


def by_trial(metrics: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Records, those of one trial after the other: nothing is chosen, or judged, by several of them together.

    Raises:
        StoreError: a column is missing or of another type.
    """
    _check_columns("metrics", metrics, METRICS)
    for trial in metrics["trial"].unique().sort():
        yield metrics.filter(pl.col("trial").eq_missing(trial))


def _check_columns(name: str, frame: pl.DataFrame, schema: pl.Schema) -> None:
    found = frame.schema
    wrong = [f"{column} must be {dtype}" for column, dtype in schema.items() if found.get(column) != dtype]
    if wrong:
        raise StoreError(f"the table '{name}' does not have the columns of dgbench.selection.records: {wrong}")


def none_at_hand() -> pl.DataFrame:
    """The indicators where no predictions are."""
    return INDICATORS.to_frame()


def over_examples(metrics: pl.DataFrame) -> pl.DataFrame:
    """Records in which all source domains are one, each by its number of images; those of the target stay.

    Args:
        metrics: As :data:`METRICS`, or some of its columns, among them ``split``, ``domain`` and what is measured.
    """
    held_out = pl.col("split") != "target"
    measured = ("accuracy", "nll")
    whose = [name for name in metrics.columns if name not in ("domain", *measured, "n", "digest")]
    together = (
        metrics.filter(held_out)
        .sort("domain", maintain_order=True)
        .group_by(whose, maintain_order=True)
        .agg(
            *((pl.col(name) * pl.col("n")).sum() / pl.col("n").sum() for name in measured),
            pl.col("n").sum(),
            pl.col("digest").str.join(""),
        )
        .with_columns(
            pl.lit(TOGETHER).alias("domain"),
            pl.col("digest").map_elements(lambda them: sha256(them.encode()).hexdigest()[:16], pl.String),
        )
    )
    return pl.concat([together.select(metrics.columns).cast(metrics.schema), metrics.filter(~held_out)])


def check(metrics: pl.DataFrame, runs: pl.DataFrame, within: Range | None = None) -> None:
    """Refuse records that would give a wrong number without a word.

    Args:
        metrics: As :data:`METRICS`.
        runs: As :data:`RUNS`.
        within: What values there can be of the headline, as it is recorded. Where it is not known, accuracies are
            shares; without a likelihood they may be what is recorded of values, and are at most 1.

    Raises:
        StoreError: a column is missing or of another type; a value is missing, doubled or out of range; a target
            counts among its own source domains, or has two sets of them; the run of a row is unknown.
    """
    for name, frame, schema in (("metrics", metrics, METRICS), ("runs", runs, RUNS)):
        _check_columns(name, frame, schema)
        nulls = [column for column in schema if frame[column].null_count()]
        if nulls:
            raise StoreError(f"the table '{name}' has missing values in {nulls}; every column must be filled")

    # values have no likelihoods, and what stands for their accuracy is a correlation, or minus an error
    low, high = (0, 1) if within is None else (within.low, within.high)
    unknown = pl.lit(within is None) & pl.col("nll").is_nan() & (pl.col("accuracy") <= 1)
    possible = pl.col("accuracy").is_between(low, high) | unknown
    validation, target, accuracy = pl.col("split") == "validation", pl.col("split") == "target", pl.col("accuracy")
    judged = pl.col("split").is_in(KINDS)
    own_domain = pl.col("domain") == pl.col("target")
    in_metrics = {
        f"a split is none of 'validation', 'target', {', '.join(map(repr, KINDS))}": ~(validation | target | judged),
        f"a track is none of {', '.join(map(repr, TRACKS))}": ~pl.col("track").is_in(TRACKS),
        f"an accuracy lies outside [{low:g}, {high:g}]": ~(accuracy.is_nan() | possible),
        "an accuracy on the target is not a number": target & accuracy.is_nan(),
        "a target counts among its own source domains": validation & own_domain,
        "a target row is not the clean target": target & ~(own_domain & (pl.col("view") == "clean")),
        "the same stream is recorded twice": pl.struct(*CANDIDATE, "split", "domain", "view").is_duplicated(),
    }
    sources = pl.struct("dataset", pl.col("sources").list.sort().list.join("\0"))
    in_runs = {
        "a target is served by two sets of source domains": sources.n_unique().over("target") > 1,
        "a draw is listed twice": pl.struct(*CELL, "draw").is_duplicated(),
    }
    refuse_faults("records", metrics, in_metrics)
    refuse_faults("records", runs, in_runs)
    known = runs.select("run", *CELL, "draw")
    unknown_runs = metrics.join(known, on=known.columns, how="anti")
    if unknown_runs.height:
        _refuse("records", "a row's run is not in the table of runs", unknown_runs)


def refuse_faults(what: str, frame: pl.DataFrame, faults: Mapping[str, pl.Expr]) -> None:
    """Refuse a table that has a fault, by one look at it.

    Args:
        what: It holds.
        frame: The table.
        faults: What may be wrong, each with the rows in which it is.

    Raises:
        StoreError: the first fault that is there; the message shows the first such row.
    """
    there = frame.select(rows.any().alias(fault) for fault, rows in faults.items()).row(0, named=True)
    for fault in (fault for fault, wrong in there.items() if wrong):
        _refuse(what, fault, frame.filter(faults[fault]))


def _refuse(what: str, fault: str, rows: pl.DataFrame) -> None:
    raise StoreError(f"{fault} in {rows.height} rows of the {what}; the first: {rows.row(0, named=True)}")
