from __future__ import annotations

import polars as pl
import pytest
from board.synthetic import candidate, tables

from dgbench.core.errors import StoreError
from dgbench.selection.measures import MEASURES
from dgbench.selection.records import TOGETHER, check, over_examples

METRICS, RUNS = tables([candidate("erm", shifted={"blur": {"a": 0.4}})])


def test_good_records_pass() -> None:
    check(METRICS, RUNS)


@pytest.mark.parametrize(
    ("message", "metrics"),
    [
        ("accuracy must be Float64", METRICS.drop("accuracy")),
        ("step must be Int64", METRICS.with_columns(pl.col("step").cast(pl.Int32))),
        (r"missing values in \['nll'\]", METRICS.with_columns(nll=pl.lit(None, pl.Float64))),
        ("none of 'validation', 'target'", METRICS.with_columns(split=pl.lit("test"))),
        ("none of 'inductive', 'online', 'unlabelled'", METRICS.with_columns(track=pl.lit("oracle"))),
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


def test_accuracies_lie_in_the_range_of_the_headline() -> None:
    """Of classes without probabilities there is no likelihood either, and yet no accuracy below 0."""
    unlikely = METRICS.with_columns(nll=pl.lit(float("nan")))
    errors = unlikely.with_columns(accuracy=pl.lit(-12.5))
    check(errors, RUNS)
    check(errors, RUNS, MEASURES["rmse"].recorded)
    check(unlikely.with_columns(accuracy=pl.lit(-0.5)), RUNS, MEASURES["pearson"].recorded)
    for table, name, said in (
        (errors, "accuracy", r"outside \[0, 1\]"),
        (errors, "pearson", r"outside \[-1, 1\]"),
        (unlikely, "rmse", r"outside \[-inf, -?0\]"),
    ):
        with pytest.raises(StoreError, match=said):
            check(table, RUNS, MEASURES[name].recorded)


def test_two_runs_for_one_draw_are_refused() -> None:
    twice = pl.concat([RUNS, RUNS.with_columns(run=pl.lit("again"))])
    with pytest.raises(StoreError, match="a draw is listed twice"):
        check(METRICS, twice)


def test_over_examples_all_source_domains_are_one() -> None:
    """By hand: 10 images of which half are right, 30 of which nine in ten are."""
    row = {
        "algorithm": "a", "title": "A", "track": "inductive", "target": "t", "trial": 0, "draw": 0, "step": 1,
        "split": "validation", "view": "clean", "run": "r",
    }  # fmt: skip
    small = row | {"domain": "small", "accuracy": 0.5, "nll": 1.0, "n": 10, "digest": "b" * 16}
    large = row | {"domain": "large", "accuracy": 0.9, "nll": 0.2, "n": 30, "digest": "a" * 16}
    target = row | {"split": "target", "domain": "t", "accuracy": 0.7, "nll": 0.6, "n": 5, "digest": "c" * 16}
    shifted = [one | {"view": "blur", "n": 10} for one in (large, small)]
    rows = [small, large, target, *shifted]
    metrics = pl.DataFrame(rows).select(pl.col(name).cast(kind) for name, kind in METRICS.schema.items())
    found = over_examples(metrics)
    assert found.schema == METRICS.schema
    clean, blurred = (found.filter(split="validation", view=view).row(0, named=True) for view in ("clean", "blur"))
    assert (clean["domain"], clean["n"]) == (TOGETHER, 40)
    assert clean["accuracy"] == pytest.approx((5 + 27) / 40)
    assert clean["nll"] == pytest.approx((10 * 1.0 + 30 * 0.2) / 40)
    assert blurred["accuracy"] == pytest.approx(0.7)
    assert found.filter(split="target").equals(metrics.filter(split="target"))
    assert found.height == 3
    again = over_examples(metrics.reverse())
    assert again.filter(view="clean", split="validation")["digest"].to_list() == [clean["digest"]]
    other = over_examples(metrics.with_columns(digest=pl.lit("d" * 16)))
    assert other.filter(view="clean", split="validation")["digest"].to_list() != [clean["digest"]]
