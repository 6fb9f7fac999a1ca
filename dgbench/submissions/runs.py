"""One row for each run of a submission: where it stands on the board, how it ended, and what it predicted.

``runs.parquet`` is flat, so that any program can write it: lists and the result are JSON in a cell of text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any

import polars as pl
from pydantic import Field, FiniteFloat, Json, model_validator

from dgbench.core.cards import Average, Card
from dgbench.core.errors import RecordError
from dgbench.core.results import RESULT, Result
from dgbench.core.spec import canonical
from dgbench.core.toml import validated
from dgbench.selection.records import METRICS, RUNS, over_examples
from dgbench.submissions.files import read_json_text
from dgbench.submissions.record import Count, Line, Sha256, Submission

TABLE = pl.Schema(
    {
        "run": pl.String(),
        "training": pl.String(),
        "target": pl.String(),
        "dataset": pl.String(),
        "sources": pl.String(),
        "domain": pl.String(),
        "trial": pl.Int64(),
        "draw": pl.Int64(),
        "hyperparameters": pl.String(),
        "families": pl.String(),
        "passes": pl.Float64(),
        "without_effect": pl.String(),
        "train_seconds": pl.Float64(),
        "run_seconds": pl.Float64(),
        "device": pl.String(),
        "result": pl.String(),
        "sha256": pl.String(),
        "bytes": pl.Int64(),
        "rows": pl.Int64(),
    }
)
"""The columns of ``runs.parquet``; :class:`Row` says what they mean."""
MOST = 20_000
"""Rows."""
_LONGEST = 20_000
"""Characters of a cell, but for results."""

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Names = Json[Annotated[tuple[Line, ...], Field(max_length=1000)]]
Seconds = Annotated[FiniteFloat, Field(ge=0)]


class Row(Card):
    """A run.

    Attributes:
        run, training: Ids. Runs of one training share it. Predictions are called after the run.
        target: Name of the board's case.
        dataset, sources, domain: What is trained on, and what is tested.
        trial, draw: Which repetition, and which set of hyperparameters.
        hyperparameters: By slot for recipes of dgbench; whatever others call theirs.
        families: Shift families that training images went through.
        passes: Forward-and-backward passes of a training step.
        without_effect: Which parts of the recipe had none.
        train_seconds, run_seconds, device: What it took, with the earlier trainings that are part of this one.
        result: How it ended.
        sha256, bytes, rows: Of the file of predictions; None where the run is not ok.
    """

    run: Id
    training: Id
    target: Line
    dataset: Line
    sources: Names
    domain: Line
    trial: Count
    draw: Count
    hyperparameters: Json[dict[str, Any]]
    families: Names
    passes: Seconds
    without_effect: Annotated[str, Field(max_length=1000)]
    train_seconds: Seconds
    run_seconds: Seconds
    device: Annotated[str, Field(max_length=100)]
    result: Result
    sha256: Sha256 | None
    bytes: Annotated[int, Field(ge=1, le=1 << 30)] | None
    rows: Annotated[int, Field(ge=1, le=50_000_000)] | None

    @model_validator(mode="after")
    def _plain(self) -> Row:
        canonical(self.hyperparameters)  # no number in it that is none
        return self

    @model_validator(mode="after")
    def _predicted(self) -> Row:
        there = {value is not None for value in (self.sha256, self.bytes, self.rows)}
        if there != {self.result.status == "ok"}:
            raise ValueError("a run that is ok has 'sha256', 'bytes' and 'rows' of its predictions, and no other has")
        return self

    @model_validator(mode="after")
    def _shares(self) -> Row:
        if any(one.accuracy < 0 for one in self.result.metrics):
            raise ValueError("an accuracy is below 0, and classes are all that is submitted")
        return self

    @property
    def where(self) -> str:
        """As people say it."""
        return f"target {self.target}, trial {self.trial}, draw {self.draw}"


def as_table(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows as :data:`TABLE`."""
    cells = []
    for row in rows:
        lists = {name: canonical(getattr(row, name)) for name in ("sources", "families", "hyperparameters")}
        cells.append({**row.model_dump(exclude={"result"}), **lists, "result": canonical(RESULT.dump(row.result))})
    return pl.DataFrame([[cell[name] for name in TABLE] for cell in cells], schema=TABLE, orient="row")


def from_table(table: pl.DataFrame) -> tuple[Row, ...]:
    """Rows of a table that strangers may have written.

    Raises:
        RecordError, CardError: a row does not fit; the message says which.
    """
    found = []
    for number, cells in enumerate(table.iter_rows(named=True)):
        where = f"runs.parquet, row {number}"
        missing = [name for name, value in cells.items() if value is None and name not in ("sha256", "bytes", "rows")]
        if missing:
            raise RecordError(f"{where}: {missing[0]}: missing")
        long = [name for name, value in cells.items() if name != "result" and len(str(value)) > _LONGEST]
        if long:
            raise RecordError(f"{where}: {long[0]}: is longer than {_LONGEST:,} characters")
        result = RESULT.read(read_json_text(cells["result"], f"{where}: result"), f"{where}: result")
        found.append(validated(cells | {"result": result}, Row, where))
    return tuple(found)


def trials_of(rows: Sequence[Row]) -> int:
    """How many trials a submission begins."""
    return max((row.trial + 1 for row in rows), default=0)


def as_records(
    submission: Submission, rows: Sequence[Row], name: str | None = None, *, average: Average
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables that models are selected and ranked from (:mod:`dgbench.selection.records`); what is ok alone.

    Args:
        submission: Whose rows they are.
        rows: The runs.
        name: Of the algorithm; the id of the submission if left out.
        average: Over what the board averages validation.
    """
    claims, own = submission.claims, {"algorithm": name or submission.id}
    done = [row for row in rows if row.result.status == "ok"]
    measures = _measured(done, own | {"title": submission.method.title, "track": claims.track})
    runs = []
    for row in done:
        about = row.model_dump(exclude={"result", "sha256", "bytes", "rows"})
        about["hyperparameters"] = canonical(row.hyperparameters)
        runs.append(about | own | {"backbone": claims.backbone, "pretrained_on": claims.pretrained_on})
    table = pl.DataFrame({name: [row[name] for row in runs] for name in RUNS}, schema=RUNS)
    return over_examples(measures) if average == "examples" else measures, table


def _measured(rows: Sequence[Row], alike: Mapping[str, str]) -> pl.DataFrame:
    """What runs measured, column by column: of a board it is a hundred thousand numbers.

    Args:
        rows: The runs.
        alike: What is the same of all.
    """
    seen = [one for row in rows for one in row.result.metrics]
    counts = [len(row.result.metrics) for row in rows]

    def of_runs(name: str) -> list[Any]:
        return [value for row, count in zip(rows, counts, strict=True) for value in [getattr(row, name)] * count]

    columns: dict[str, list[Any]] = {name: [value] * len(seen) for name, value in alike.items()}
    columns |= {name: of_runs(name) for name in ("target", "trial", "draw", "run")}
    columns |= {name: [*map(attrgetter(name), seen)] for name in ("step", "split", "view", "n", "digest")}
    columns["domain"] = [
        target if (one.split, one.domain) == ("target", domain) else one.domain
        for one, target, domain in zip(seen, columns["target"], of_runs("domain"), strict=True)
    ]
    columns["accuracy"] = [one.accuracy if one.headline is None else one.headline for one in seen]
    columns["nll"] = [math.nan if one.nll is None else one.nll for one in seen]
    return pl.DataFrame({name: columns[name] for name in METRICS}, schema=METRICS)
