"""All that the checks of a submission look at: what it says, what the board asks, what its predictions come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dgbench.core.errors import StoreError
from dgbench.core.results import Measurement
from dgbench.selection.criteria import CRITERIA, Criterion
from dgbench.selection.measures import official_groups
from dgbench.selection.predictions import MOST, PREDICTIONS, STREAM, check, otherwise
from dgbench.selection.records import METRICS, RUNS
from dgbench.submissions.asked import EXAMPLES, Asked
from dgbench.submissions.files import read_table
from dgbench.submissions.record import Submission
from dgbench.submissions.runs import Row, as_records

_ROUNDING = 5e-3
"""What a probability loses where it is computed from logits of sixteen bits."""
AS_ROUNDED = 1e-3
"""What a probability may differ by where the same is computed in another order."""


@dataclass(frozen=True)
class Others:
    """The other methods of the board, as :mod:`dgbench.selection.records` has them."""

    metrics: pl.DataFrame = field(default_factory=METRICS.to_frame)
    runs: pl.DataFrame = field(default_factory=RUNS.to_frame)


@dataclass(frozen=True)
class Evidence:
    """What is known of a submission.

    Attributes:
        submission: What it says.
        rows: Its runs.
        asked: What the board asks.
        measured: By run, what its predictions come to, as ``Asked.summarised`` has it; empty where they are not there.
        reordered: By run, how many predictions of the target differ where it was seen in another order, and of how many
            that was shown.
        faults: What is wrong with predictions.
        bundled: Whether there are predictions to compute from; a board keeps some submissions without.
        others: Who else is on the board.
    """

    submission: Submission
    rows: tuple[Row, ...]
    asked: Asked
    measured: Mapping[str, pl.DataFrame]
    reordered: Mapping[str, tuple[int, int]]
    faults: tuple[str, ...]
    bundled: bool
    others: Others

    @property
    def ok(self) -> Iterator[Row]:
        """The runs that did not fail."""
        return (row for row in self.rows if row.result.status == "ok")

    @property
    def criterion(self) -> Criterion | None:
        """What is claimed to have chosen the models, if there is such a criterion."""
        return CRITERIA.get(self.submission.claims.criterion)

    @cached_property
    def records(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Metrics and runs: computed from the predictions where they are there, else as they are reported."""
        rows = [self._computed(row) for row in self.rows]
        return as_records(self.submission, rows, average=self.asked.board.selection.average)

    def _computed(self, row: Row) -> Row:
        if row.run not in self.measured or row.result.status != "ok":
            return row
        own = tuple(Measurement.model_construct(**cells) for cells in self.measured[row.run].iter_rows(named=True))
        return row.model_copy(update={"result": row.result.model_copy(update={"metrics": own})})


def file_of(row: Row) -> str:
    """Where the predictions of a run lie in the folder of a submission."""
    return f"predictions/{row.run}.parquet"


def gather(folder: Path, submission: Submission, rows: tuple[Row, ...], asked: Asked, others: Others) -> Evidence:
    """Read the predictions of a submission, one run at a time.

    Args:
        folder: Holds ``predictions``, the files as they were announced; or lacks it.
        submission, rows: What is said.
        asked, others: What it is held against.

    Raises:
        RecordError: a file is not what its row says.
    """
    evidence = Evidence(submission, rows, asked, {}, {}, (), (folder / "predictions").is_dir(), others)
    if not evidence.bundled:
        return evidence
    measured: dict[str, pl.DataFrame] = {}
    reordered: dict[str, tuple[int, int]] = {}
    faults: list[str] = []
    shown = _Shown(asked)
    for row in evidence.ok:
        if row.run not in measured:
            assert row.rows is not None
            table = read_table(folder / file_of(row), PREDICTIONS, row.rows)
            try:
                check(table, asked.outlines[row.dataset].classes)
            except StoreError as error:
                faults.append(f"{row.where}: {error}")
                continue
            measured[row.run] = asked.summarised(table, row.dataset)
            reordered[row.run] = otherwise(table, AS_ROUNDED)
            faults += (f"{row.where}: {fault}" for fault in _contradictions(table, asked.outlines[row.dataset].classes))
            faults += (f"{row.where}: {fault}" for fault in shown.faults(table, row))
    return replace(evidence, measured=measured, reordered=reordered, faults=tuple(faults))


def _contradictions(table: pl.DataFrame, classes: int) -> Iterator[str]:
    """Probabilities that are not those of the logits beside them, where all of these are kept."""
    scored = table.filter(pl.col("logits").is_not_null())
    if classes > MOST or scored.is_empty():
        return
    chances = np.exp(scored["logits"].list.to_array(classes).to_numpy().astype(np.float32))
    chances /= chances.sum(1, keepdims=True)
    rows = np.arange(scored.height)
    for name, of in (("confidence", "prediction"), ("p_label", "label")):
        gap = float(np.abs(chances[rows, scored[of].to_numpy()] - scored[name].to_numpy()).max())
        if not gap <= _ROUNDING:
            yield f"'{name}' is not what the logits give; they differ by up to {gap:.2g}"


class _Shown:
    """Which examples streams must show: by the data where it is at hand, else the same ones wherever they are shown."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.known: dict[tuple[Any, ...], pl.DataFrame | None] = {}

    def faults(self, table: pl.DataFrame, row: Row) -> Iterator[str]:
        """What is wrong with the examples of a run."""
        shown = table.select(*STREAM, *EXAMPLES.names())
        if not official_groups(row.dataset):  # others are the store's own, and decide nothing here
            shown = shown.with_columns(group=pl.lit(None, pl.Int64))
        streams = shown.partition_by(STREAM, maintain_order=True, include_key=False, as_dict=True)
        for (step, split, domain, view), given in streams.items():
            wanted = self._wanted(str(split), row, str(domain), given, shifted=view != "clean")
            if wanted is None:
                yield f"{split} of {domain}, which the case does not have"
            elif not given.equals(wanted):
                yield f"step {step}, {split} of {domain}, {view}: {_difference(given, wanted)}"

    def _wanted(self, split: str, row: Row, domain: str, given: pl.DataFrame, *, shifted: bool) -> pl.DataFrame | None:
        case = self.asked.cases[row.target]
        if domain not in (case.sources if split == "validation" else (case.target,)):
            return None
        stream = (split, case.dataset, domain, row.trial)
        key = (*stream, shifted)
        if key not in self.known:
            self.known[key] = self.asked.examples(*stream, shifted=shifted)
        if self.known[key] is None:
            self.known[key] = given
        return self.known[key]


def _difference(given: pl.DataFrame, wanted: pl.DataFrame) -> str:
    if given["sample"].n_unique() < given.height:
        return "an example is there twice"
    lacking = wanted.join(given, on="sample", how="anti").height
    strange = given.join(wanted, on="sample", how="anti").height
    if lacking or strange:
        return f"{lacking} examples are missing, and {strange} do not belong there"
    both = wanted.join(given, on="sample")
    labels = both.filter(pl.col("label") != pl.col("label_right")).height
    groups = both.filter(pl.col("group").ne_missing(pl.col("group_right"))).height
    if groups and not labels:
        return f"{groups} groups are not those of the data"
    return f"{labels} labels are not those of the data" if labels else "rows are not in the order of their index"
