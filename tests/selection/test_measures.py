"""Measures of predictions against scikit-learn and against loops that follow the definitions word by word."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score, roc_auc_score

from dgbench.core.errors import UnknownNameError
from dgbench.data.sets.slabs import coordinate
from dgbench.selection.calibration import BINS
from dgbench.selection.measures import COMPUTED, LEAST, MEASURES, get, measure, measured
from dgbench.selection.records import CANDIDATE


def drawn(seed: int, n: int, classes: int = 4, groups: int | None = 3) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "step": pl.Series(random.choice([50, 100], n), dtype=pl.Int32),
            "label": pl.Series(random.integers(classes, size=n), dtype=pl.Int16),
            "prediction": pl.Series(random.integers(classes, size=n), dtype=pl.Int16),
            "confidence": pl.Series(random.uniform(0, 1, n), dtype=pl.Float32),
            "group": pl.Series([None] * n if groups is None else random.integers(groups, size=n), dtype=pl.Int64),
            "familiar": pl.Series(random.integers(2, size=n), dtype=pl.Int8),
            "domain": ["a"] * n,
            "sample": [f"{number:016x}" for number in range(n)],
        }
    )


def ece(table: pl.DataFrame) -> float:
    """The definition, one bin after the other."""
    rows = table.select("label", "prediction", "confidence").rows()
    total = 0.0
    for number in range(BINS):
        inside = [row for row in rows if number / BINS < row[2] <= (number + 1) / BINS or row[2] == number == 0]
        if inside:
            right = sum(label == prediction for label, prediction, _ in inside) / len(inside)
            sure = sum(confidence for *_, confidence in inside) / len(inside)
            total += len(inside) / len(rows) * abs(right - sure)
    return total


def worst_group(table: pl.DataFrame) -> float | None:
    found = []
    for _, rows in table.group_by("group"):
        if rows.height >= LEAST:
            found.append((rows["label"] == rows["prediction"]).mean())
    return min(found, default=None)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 200), st.integers(2, 9), st.integers(1, 8))
def test_measures_are_what_they_are_called(seed: int, n: int, classes: int, groups: int) -> None:
    table = drawn(seed, n, classes, groups)
    found = {row["step"]: row for row in measure(table, ["step"]).iter_rows(named=True)}
    assert set(found) == set(table["step"])
    for step, row in found.items():
        own = table.filter(pl.col("step") == step)
        labels, predicted = own["label"].to_numpy(), own["prediction"].to_numpy()
        recalls = recall_score(labels, predicted, labels=np.unique(labels), average=None, zero_division=0)
        assert row["macro"] == pytest.approx(np.mean(recalls))
        assert row["worst_class"] == pytest.approx(min(recalls))
        f1 = f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
        assert row["macro_f1"] == pytest.approx(f1)
        assert row["adjusted"] is None
        assert row["worst_group"] == pytest.approx(worst_group(own))
        assert row["ece"] == pytest.approx(ece(own), abs=1e-6)
        assert 0 <= row["ece"] <= 1
        for name, number in (("familiar", 1), ("unfamiliar", 0)):
            listed = own.filter(pl.col("familiar") == number)
            share = (listed["label"] == listed["prediction"]).mean()
            assert row[name] == pytest.approx(math.nan if share is None else share, nan_ok=True)
        assert row["worst_class"] <= row["macro"]


def test_macro_is_balanced_accuracy() -> None:
    table = drawn(1, 500)
    found = measure(table.with_columns(step=pl.lit(1)), ["step"])
    assert found["macro"].item() == pytest.approx(balanced_accuracy_score(table["label"], table["prediction"]))


def test_a_model_that_knows_itself_has_no_calibration_error_and_one_that_boasts_has_all() -> None:
    right = pl.DataFrame(
        {"step": [1] * 4, "label": [0, 1, 0, 1], "prediction": [0, 1, 0, 1], "confidence": [1.0] * 4, "group": [0] * 4}
    ).with_columns(familiar=None)
    assert measure(right, ["step"])["ece"].item() == 0
    wrong = right.with_columns(label=1 - pl.col("label"))
    assert measure(wrong, ["step"])["ece"].item() == 1
    # half of them right at a confidence of one half, on either side of no edge
    half = right.with_columns(label=pl.Series([0, 1, 1, 0]), confidence=pl.lit(0.5))
    assert measure(half, ["step"])["ece"].item() == 0


def test_the_edges_of_the_bins_belong_to_the_bin_below() -> None:
    """At 1/15 exactly an example shares a bin with 0.5/15: their errors cancel there, and would add up apart."""
    table = pl.DataFrame(
        {"step": [1, 1], "label": [0, 0], "prediction": [0, 1], "confidence": [1 / 15, 0.5 / 15], "group": [0, 0]}
    ).with_columns(familiar=None)
    assert measure(table, ["step"])["ece"].item() == pytest.approx(abs(1 - 1.5 / 15) / 2)


def test_what_is_not_known_is_null_and_not_a_number_that_looks_like_one() -> None:
    without = measure(drawn(3, 60, groups=None), ["step"])
    assert without["worst_group"].null_count() == without.height
    few = measure(drawn(3, LEAST - 1, groups=1).with_columns(step=pl.lit(1)), ["step"])
    assert few["worst_group"].item() is None
    some = drawn(3, 60, groups=1).with_columns(group=pl.when(pl.int_range(60) > 0).then(pl.col("group")))
    assert measure(some.with_columns(step=pl.lit(1)), ["step"])["worst_group"].item() is None
    for unknown in (None, math.nan):
        classes_only = drawn(3, 60).with_columns(confidence=pl.lit(unknown, pl.Float32))
        found = measure(classes_only, ["step"])
        assert found["ece"].null_count() == found.height
        assert found["macro"].null_count() == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 60), st.sampled_from([3, 20, 10**6]))
def test_the_area_under_the_curve_is_scikit_learns(seed: int, n: int, levels: int) -> None:
    """Of few levels many scores are equal."""
    random = np.random.default_rng(seed)
    labels, chances = random.integers(2, size=n), random.integers(levels + 1, size=n) / levels
    table = drawn(seed, n).with_columns(
        step=pl.lit(1),
        label=pl.Series(labels),
        prediction=pl.Series((chances > 0.5).astype(np.int64)),
        confidence=pl.Series(np.maximum(chances, 1 - chances)),
    )
    found = measure(table, ["step"], classes=2)["auc"].item()
    if len(set(labels)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(roc_auc_score(labels, chances), abs=1e-12)


def test_there_is_an_area_of_two_classes_with_probabilities_alone() -> None:
    table = drawn(5, 60, classes=2).with_columns(step=pl.lit(1))
    assert measure(table, ["step"], classes=2)["auc"].item() is not None
    for count in (None, 3):
        assert measure(table, ["step"], classes=count)["auc"].item() is None
    for unknown in (None, math.nan):
        without = table.with_columns(confidence=pl.lit(unknown, pl.Float32))
        assert measure(without, ["step"], classes=2)["auc"].item() is None


@pytest.mark.parametrize(("used", "areas"), [(0, (1, 0.5, 1)), (1, (1, 1, 0.5))])
def test_the_area_falls_to_a_half_where_the_block_that_is_used_is_another_examples(
    used: int, areas: tuple[float, ...]
) -> None:
    """Slabs, unrotated: a network that uses one coordinate alone, seen on all of them, and on either one permuted."""
    n, random = 4000, np.random.default_rng(0)
    labels = random.integers(0, 2, n)
    blocks = np.stack([coordinate(labels, 1, random), coordinate(labels, 1, random)], axis=1)
    tables = []
    for number in range(3):
        seen = blocks.copy()
        if number:
            seen[:, number - 1] = seen[random.permutation(n), number - 1]
        chance = 1 / (1 + np.exp(-5 * seen[:, used]))
        tables.append(
            drawn(0, n).with_columns(
                step=pl.lit(number),
                label=pl.Series(labels),
                prediction=pl.Series((chance > 0.5).astype(np.int64)),
                confidence=pl.Series(np.maximum(chance, 1 - chance)),
            )
        )
    found = measure(pl.concat(tables), ["step"], classes=2).sort("step")["auc"].to_list()
    ones = int(labels.sum())
    chance = math.sqrt((n + 1) / (12 * ones * (n - ones)))  # of a permuted block, by Mann and Whitney
    for area, expected in zip(found, areas, strict=True):
        assert area == pytest.approx(expected, abs=1e-12 if expected == 1 else 4 * chance)


def test_chosen_models_are_judged_by_their_own_predictions() -> None:
    """Two algorithms share a run, a third has none at hand; of two steps the chosen one counts."""
    tables = {"r1": drawn(1, 80), "r2": drawn(2, 90)}
    cells = pl.DataFrame(
        [
            ("erm", "a", 0, 0, 50, "r1", "digits"),
            ("ema", "a", 0, 0, 50, "r1", "digits"),
            ("ema", "a", 1, 0, 100, "r2", "digits"),
            ("sam", "a", 0, 0, 50, "r3", "digits"),
        ],
        schema={
            **dict.fromkeys(CANDIDATE[:2], pl.String),
            **dict.fromkeys(CANDIDATE[2:], pl.Int64),
            **dict.fromkeys(("run", "dataset"), pl.String),
        },
        orient="row",
    )
    asked: list[tuple[str, str]] = []

    def on_target(algorithm: str, run: str) -> pl.DataFrame | None:
        asked.append((algorithm, run))
        return tables.get(run)

    found = measured(pl.concat([cells, cells]), on_target).sort(CANDIDATE)
    assert found.columns == [*CANDIDATE, *COMPUTED]
    assert found.select("algorithm", "trial", "step").rows() == [("ema", 0, 50), ("ema", 1, 100), ("erm", 0, 50)]
    expected = measure(tables["r2"].with_columns(familiar=None), ["step"]).filter(pl.col("step") == 100)
    assert found.row(1)[len(CANDIDATE) :] == pytest.approx(expected.row(0)[1:])
    assert len(asked) == len(set(asked)) == 4


def test_measures_are_found_by_name() -> None:
    assert get("ece") is MEASURES["ece"]
    assert not MEASURES["ece"].rises
    with pytest.raises(UnknownNameError, match=r"no metric named 'eec'.*'ece'"):
        get("eec")
