from __future__ import annotations

import polars as pl
import pytest
from board.synthetic import candidate, tables

from dgbench.core.errors import StoreError
from dgbench.selection.records import check

METRICS, RUNS = tables([candidate("erm", shifted={"blur": {"a": 0.4}})])


def test_good_records_pass() -> None:
    check(METRICS, RUNS)


@pytest.mark.parametrize(
    ("message", "metrics"),
    [
        ("accuracy must be Float64", METRICS.drop("accuracy")),
        ("step must be Int64", METRICS.with_columns(pl.col("step").cast(pl.Int32))),
        (r"missing values in \['nll'\]", METRICS.with_columns(nll=pl.lit(None, pl.Float64))),
        ("neither 'validation' nor 'target'", METRICS.with_columns(split=pl.lit("test"))),
        ("neither 'inductive' nor 'online'", METRICS.with_columns(track=pl.lit("oracle"))),
        (r"outside \[0, 1\] in 3 rows", METRICS.with_columns(accuracy=pl.lit(71.0))),
        ("among its own source domains", METRICS.with_columns(split=pl.lit("validation"))),
        ("not the clean target", METRICS.with_columns(split=pl.lit("target"))),
        ("recorded twice in 6 rows", pl.concat([METRICS, METRICS])),
        ("not in the table of runs", METRICS.with_columns(run=pl.lit("other"))),
        ("not in the table of runs", METRICS.with_columns(trial=pl.col("trial") + 1)),
    ],
)
def test_faulty_metrics_are_refused_and_named(message: str, metrics: pl.DataFrame) -> None:
    with pytest.raises(StoreError, match=message):
        check(metrics, RUNS)


def test_two_runs_for_one_draw_are_refused() -> None:
    twice = pl.concat([RUNS, RUNS.with_columns(run=pl.lit("again"))])
    with pytest.raises(StoreError, match="a draw is listed twice"):
        check(METRICS, twice)
