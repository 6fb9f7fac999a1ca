"""Measures of predicted values against NumPy and loops that follow the definitions; which predictions are refused."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgbench.core.errors import RecipeError, StoreError
from dgbench.core.judged_by import OfficialGroup
from dgbench.data.domain import Dataset, Domain
from dgbench.runs.observed import examples, observed
from dgbench.selection.criteria import CRITERIA, at_hand, get, refuse_misfit
from dgbench.selection.measures import COMPUTED, LEAST, MEASURES, measure, of_streams
from dgbench.selection.predictions import STREAM, VALUES, check, summarise
from dgbench.selection.records import METRICS
from dgbench.selection.value_measures import OF_VALUES, pearson
from dgbench.train.scale import Scale


def drawn(seed: int, n: int, groups: int = 3) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    true = random.normal(5, 30, n)
    rows = {
        "step": random.choice([50, 100], n),
        "split": ["target"] * n,
        "domain": ["a"] * n,
        "view": ["clean"] * n,
        "index": np.arange(n),
        "sample": [f"{number:016x}" for number in range(n)],
        "group": random.integers(groups, size=n),
        "label": true,
        "prediction": 0.5 * true + random.normal(0, 10, n),
    }
    return pl.DataFrame({name: rows.get(name, [None] * n) for name in VALUES}, VALUES)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(3, 120), st.integers(1, 6))
def test_measures_of_values_are_what_they_are_called(seed: int, n: int, groups: int) -> None:
    table = drawn(seed, n, groups)
    found = {row["step"]: row for row in measure(table, ["step"]).iter_rows(named=True)}
    for (step,), rows in table.group_by("step"):
        true, said = rows["label"].to_numpy(), rows["prediction"].to_numpy().astype(float)
        own = found[step]
        assert own["rmse"] == pytest.approx(
            math.sqrt(sum((said[i] - true[i]) ** 2 for i in range(len(true))) / len(true))
        )
        if len(true) > 2:
            assert own["pearson"] == pytest.approx(np.corrcoef(said, true)[0, 1])
        parts = [part for _, part in rows.group_by("group") if part.height >= LEAST]
        gaps = [np.sqrt(((p["prediction"] - p["label"]) ** 2).mean()) for p in parts]
        along = [np.corrcoef(p["prediction"], p["label"])[0, 1] for p in parts]
        assert own["worst_group_rmse"] == (pytest.approx(max(gaps)) if parts else None)
        assert own["worst_group_pearson"] == (pytest.approx(min(along)) if parts else None)
        assert all(own[name] is None for name in COMPUTED if name not in OF_VALUES)


def test_a_constant_goes_along_with_nothing() -> None:
    assert pearson(np.full(5, 3.0), np.arange(5.0)) == 0
    assert pearson(np.arange(5.0), np.full(5, 3.0)) == 0
    assert pearson(np.arange(5.0), 2 * np.arange(5.0) + 1) == 1


def test_official_groups_count_however_small_they_are() -> None:
    table = drawn(0, 60, groups=2).with_columns(pl.lit(50, pl.Int32).alias("step"))
    groups = [OfficialGroup(name=name, where={"urban": name}, counts=name == "no") for name in ("yes", "no")]
    (own,) = measure(table, ["step"], groups).iter_rows(named=True)
    counted = table.filter(group=1)
    assert own["worst_group_rmse"] == pytest.approx(np.sqrt(((counted["prediction"] - counted["label"]) ** 2).mean()))


def test_a_run_notes_minus_the_error_so_that_more_is_better() -> None:
    table = drawn(1, 60, groups=1)
    for row in summarise(table).iter_rows(named=True):
        own = table.filter(step=row["step"])
        assert row["accuracy"] == pytest.approx(-np.sqrt(((own["prediction"] - own["label"]) ** 2).mean()))
        assert row["nll"] is None
    for name in OF_VALUES:
        held = of_streams(table, STREAM, name, "no-card").sort("step")["headline"]
        shown = measure(table, STREAM).sort("step")[name]
        assert held.to_list() == [value * (1 if MEASURES[name].rises else -1) for value in shown]


def test_values_far_from_zero_keep_what_is_predicted_of_them() -> None:
    """Seconds since 1970, each a few off: in single precision they are 128 apart."""
    true = 1.7e9 + np.random.default_rng(0).normal(0, 20, 50)
    domain = Domain("a", np.zeros((50, 2, 2, 3), np.uint8), true, np.arange(50))
    shown = examples(Dataset("set", (), (domain,), ""), "a", np.arange(50)).with_columns(
        split=pl.lit("target"), domain=pl.lit("a"), view=pl.lit("clean")
    )
    scale = Scale.of([true])
    predicted = observed(1, shown, scale.standard(true + 1.5)[:, None], "values", scale)
    check(predicted, 0)
    (row,) = summarise(predicted).iter_rows(named=True)
    assert row["accuracy"] == pytest.approx(-1.5, abs=1e-4)
    assert measure(predicted, ["step"])["pearson"].item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ({"label": pl.lit(float("nan"))}, "no finite number"),
        ({"prediction": pl.lit(float("inf"), pl.Float64)}, "no finite number"),
        ({"confidence": pl.lit(0.5, pl.Float32)}, "has a probability"),
        ({"prediction": pl.col("prediction").cast(pl.Int16)}, "prediction must be Float64"),
        ({"sample": pl.lit("0" * 16)}, "twice"),
    ],
)
def test_predictions_of_values_that_would_give_a_wrong_number_are_refused(
    spoilt: dict[str, pl.Expr], said: str
) -> None:
    table = drawn(2, 20)
    check(table, 0)
    with pytest.raises(StoreError, match=said):
        check(table.with_columns(**spoilt), 0)


def test_criteria_about_classes_are_none_of_values() -> None:
    by = MEASURES["rmse"]
    left = {criterion.name for criterion in at_hand(METRICS.to_frame(), by)}
    gone = {name for name, criterion in CRITERIA.items() if criterion.classes}
    assert gone == {
        "source_nll", "augmented_logit", "calibration", "confidence", "atc", "doc", "agreement", "nuclear_norm",
        "flatness", "risk_discrepancy",
    }  # fmt: skip
    assert not left & gone
    for name in gone:
        refuse_misfit(get(name), MEASURES["accuracy"], "board")
        with pytest.raises(RecipeError, match=f"'{name}' is about classes.*choose one of source, "):
            refuse_misfit(get(name), by, "board")
