"""Indicators against closed forms and against loops, and that none of them sees a label of the target."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

from dgbench.selection.indicators import READ, indicators
from dgbench.selection.indicators.agreement import agreement
from dgbench.selection.indicators.atc import atc
from dgbench.selection.indicators.confidence import average_confidence, temperature
from dgbench.selection.indicators.doc import doc
from dgbench.selection.indicators.nuclear_norm import nuclear_norm
from dgbench.selection.predictions import MOST, PREDICTIONS, scores_kept
from dgbench.selection.records import INDICATED

Matrix = NDArray[np.float64]


def topped(scores: Matrix) -> Matrix:
    return np.asarray(scores - scores.max(1, keepdims=True))


def softmax(scores: Matrix) -> Matrix:
    weights = np.exp(topped(scores))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def test_atc_counts_what_is_surer_than_the_mistakes_on_source() -> None:
    # two of five are wrong, so the threshold is the third lowest confidence, 0.6
    source, right = np.array([0.9, 0.3, 0.8, 0.6, 0.5]), np.array([True, False, True, False, True])
    assert atc(source, right, np.array([0.59, 0.6, 0.61, 0.1])) == 0.5
    # who errs nowhere is thought right wherever it is as sure as on any source image, who always errs nowhere
    assert atc(source, np.ones(5, bool), np.array([0.3, 0.29])) == 0.5
    assert atc(source, np.zeros(5, bool), np.ones(3)) == 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_on_images_like_the_source_the_estimates_are_its_accuracy(seed: int) -> None:
    random = np.random.default_rng(seed)
    chances, right = random.permutation(1000)[:60] / 1000, random.random(60) < 0.7
    assert atc(chances, right, chances) == pytest.approx(right.mean())
    assert doc(chances, right, chances) == pytest.approx(right.mean())
    # a loss of confidence is a loss of as much accuracy
    assert doc(chances, right, chances - 0.1) == pytest.approx(right.mean() - 0.1)


@pytest.mark.parametrize("wanted", [0.25, 1.0, 3.0])
def test_the_temperature_is_that_by_which_the_truth_was_sharpened(wanted: float) -> None:
    random = np.random.default_rng(0)
    truth = 2 * random.standard_normal((20_000, 4))
    labels = (softmax(truth).cumsum(1) < random.random((20_000, 1))).sum(1)
    assert temperature(topped(truth * wanted), labels) == pytest.approx(wanted, rel=0.05)
    assert average_confidence(topped(truth * wanted), wanted) == pytest.approx(softmax(truth).max(1).mean())


def test_the_temperature_makes_source_images_the_most_probable() -> None:
    random = np.random.default_rng(1)
    scores, labels = topped(3 * random.standard_normal((300, 5))), random.integers(0, 5, 300)

    def nll(at: float) -> float:
        return float(-np.mean(np.log(softmax(scores / at)[np.arange(300), labels].clip(1e-300))))

    best = temperature(scores, labels)
    assert nll(best) <= min(nll(at) for at in np.exp(np.linspace(-4, 4, 400))) + 1e-6


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (7, 7)])
def test_the_nuclear_norm_is_the_sum_of_singular_values(shape: tuple[int, int]) -> None:
    scores = topped(2 * np.random.default_rng(2).standard_normal(shape))
    wanted = np.linalg.svd(softmax(scores), compute_uv=False).sum() / math.sqrt(min(shape) * shape[0])
    assert nuclear_norm(scores) == pytest.approx(wanted, abs=1e-6)


def test_the_nuclear_norm_is_one_where_all_is_sure_and_spread_evenly() -> None:
    sure = topped(1e3 * np.tile(np.eye(5), (8, 1)))
    assert nuclear_norm(sure) == pytest.approx(1)
    assert nuclear_norm(np.zeros((40, 5))) == pytest.approx(1 / 5)
    assert nuclear_norm(np.tile(sure[:1], (40, 1))) == pytest.approx(1 / 5**0.5)


def test_agreement_is_the_mean_over_pairs() -> None:
    random = np.random.default_rng(3)
    said = random.integers(0, 3, (4, 50))
    table = pl.DataFrame(
        [(m, i, int(said[m, i])) for m in range(4) for i in range(50)], ["model", "image", "prediction"], orient="row"
    )
    found = dict(agreement(table, ["model"], ["image"]).iter_rows())
    for m in range(4):
        assert found[m] == pytest.approx(np.mean([np.mean(said[m] == said[k]) for k in range(4) if k != m]))
    assert agreement(table.filter(model=0), ["model"], ["image"])["agreement"].to_list() == [None]


def run(seed: int, classes: int = 4, *, steps: tuple[int, ...] = (50, 100), chances: bool = True) -> pl.DataFrame:
    """What a run may have predicted of two source domains and a target, as it is stored."""
    random, tables = np.random.default_rng(seed), []
    for step in steps:
        for split, domain, n in (("validation", "a", 40), ("validation", "c", 25), ("target", "b", 60)):
            scores = 2 * random.standard_normal((n, classes))
            labels = np.random.default_rng(n).integers(0, classes, n)
            scores[np.arange(n), labels] += 2 + seed % 3
            prediction, p = scores.argmax(1), softmax(scores)
            columns: dict[str, Any] = {
                "step": step, "split": split, "domain": domain, "view": "clean", "index": range(n), "label": labels,
                "prediction": prediction, "confidence": p.max(1), "p_label": p[np.arange(n), labels],
            }  # fmt: skip
            kept = scores_kept(scores.astype(np.float32), prediction, "logits")
            table = pl.DataFrame(columns).hstack(kept).with_columns(group=pl.lit(None), sample=pl.lit(""))
            tables.append(table.select(pl.col(name).cast(kind) for name, kind in PREDICTIONS.items()))
    found = pl.concat(tables)
    blank = [pl.lit(None, PREDICTIONS[name]).alias(name) for name in ("confidence", "p_label", "logits")]
    return (found if chances else found.with_columns(blank)).select(READ)


def told(cell: dict[int, pl.DataFrame]) -> pl.DataFrame:
    """The indicators of one cell, whose draws predicted this."""
    tables = [table.with_columns(cell=pl.lit(5), draw=pl.lit(draw, pl.Int64)) for draw, table in cell.items()]
    return indicators(pl.concat(tables)).drop("cell")


def naive(own: pl.DataFrame) -> dict[str, float]:
    """Of one candidate, by loops over its rows."""
    source, target = ([row for row in own.rows(named=True) if row["split"] == s] for s in ("validation", "target"))
    errors = []
    for domain in ("a", "c"):
        rows = [row for row in source if row["domain"] == domain]
        off = 0.0
        for b in range(15):
            inside = [row for row in rows if b / 15 < row["confidence"] <= (b + 1) / 15]
            off += abs(sum((row["prediction"] == row["label"]) - row["confidence"] for row in inside))
        errors.append(off / len(rows))
    wrong = sum(row["prediction"] != row["label"] for row in source)
    threshold = sorted(row["confidence"] for row in source)[wrong]
    sure = [sum(row["confidence"] for row in rows) / len(rows) for rows in (source, target)]
    logits = np.array([row["logits"] for row in source])
    at = temperature(logits, np.array([row["label"] for row in source]))
    unseen = np.array([row["logits"] for row in target])
    return {
        "calibration": sum(errors) / 2,
        "atc": sum(row["confidence"] >= threshold for row in target) / len(target),
        "doc": 1 - wrong / len(source) - sure[0] + sure[1],
        "confidence": float(softmax(unseen / at).max(1).mean()),
        "nuclear_norm": float(np.linalg.norm(softmax(unseen), "nuc") / math.sqrt(4 * len(target))),
    }


def test_of_a_cell_each_candidate_has_what_loops_find() -> None:
    cell = {0: run(0), 1: run(1)}
    found = told(cell)
    assert found.select("draw", "step").rows() == [(0, 50), (0, 100), (1, 50), (1, 100)]
    for row in found.iter_rows(named=True):
        own = cell[row["draw"]].filter(step=row["step"])
        for name, value in naive(own).items():
            assert row[name] == pytest.approx(value, abs=1e-6), name
        said = {
            (draw, step): predictions.filter(step=step, split="target")["prediction"].to_numpy()
            for draw, predictions in cell.items() for step in (50, 100)
        }  # fmt: skip
        mine = said.pop((row["draw"], row["step"]))
        assert row["agreement"] == pytest.approx(np.mean([np.mean(mine == other) for other in said.values()]))


def test_cells_have_nothing_to_do_with_each_other() -> None:
    one, two = {0: run(0), 1: run(1)}, {0: run(2), 1: run(3, 7)}
    both = [
        table.with_columns(cell=pl.lit(at), draw=pl.lit(draw, pl.Int64))
        for at, cell in enumerate((one, two)) for draw, table in cell.items()
    ]  # fmt: skip
    found = indicators(pl.concat(both))
    for at, cell in enumerate((one, two)):
        assert_frame_equal(found.filter(cell=at).drop("cell"), told(cell))


def test_no_label_of_the_target_counts_and_no_order_of_rows() -> None:
    cell = {0: run(0), 1: run(1)}
    on_target = pl.col("split") == "target"
    turned = {
        draw: table.with_columns(label=pl.when(on_target).then(3 - pl.col("label")).otherwise("label"))
        for draw, table in cell.items()
    }
    assert told(turned).equals(told(cell))
    shuffled = {draw: table.sample(fraction=1, shuffle=True, seed=draw) for draw, table in reversed(cell.items())}
    for name in INDICATED:
        assert told(shuffled)[name].to_list() == pytest.approx(told(cell)[name].to_list(), abs=1e-9)
    # labels of the source do count, so the test can fail
    source = {draw: table.with_columns(label=3 - pl.col("label")) for draw, table in cell.items()}
    assert not told(source)["atc"].equals(told(cell)["atc"])


def test_calibration_sees_nothing_of_the_target() -> None:
    blind = run(0).with_columns(
        pl.when(pl.col("split") == "target").then(0.5).otherwise("confidence").cast(pl.Float32).alias("confidence")
    )
    assert told({0: blind})["calibration"].equals(told({0: run(0)})["calibration"])
    lone = told({0: run(0).filter(split="validation")})
    assert lone["calibration"].equals(told({0: run(0)})["calibration"])
    assert lone.select(INDICATED[1:]).null_count().row(0) == (2,) * 5


def test_what_was_not_kept_is_not_known() -> None:
    many = told({0: run(0, MOST + 1)})
    assert many.null_count().row(0, named=True) == {"draw": 0, "step": 0} | {
        name: 2 * (name in ("confidence", "nuclear_norm")) for name in INDICATED
    }
    classes = told({0: run(0, chances=False)})
    assert [name for name in INDICATED if not classes[name].null_count()] == ["agreement"]
