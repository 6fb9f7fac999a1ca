"""What choices by a criterion come to, against a reference that tries every subset and breaks every tie."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import polars as pl
import pytest
from board.synthetic import candidate, tables
from scipy.stats import spearmanr

from dgbench.selection import judging
from dgbench.selection.criteria import CRITERIA, choose
from dgbench.selection.judging import (
    CHOICES,
    CORRELATIONS,
    SET,
    Choice,
    chances_of,
    chosen,
    correlations,
    offered,
    scored,
)
from dgbench.selection.records import CANDIDATE

Row = dict[str, object]


def drawn(seed: int, draws: int = 4, steps: int = 2) -> pl.DataFrame:
    """Models of three algorithms with many ties, in accuracies as in scores, and scores that are missing."""
    random = np.random.default_rng(seed)
    rows = []
    for algorithm, target, trial in itertools.product("abc", "xy", range(2)):
        for draw, step in itertools.product(range(draws), range(1, steps + 1)):
            score = random.choice([0.25, 0.5, 0.75, math.nan, None, -math.inf])
            source, accuracy = random.choice([0.3, 0.6, 0.9]), random.choice([0.2, 0.4, 0.6, 0.8])
            rows.append((algorithm, target, trial, draw, step, accuracy, source, score))
    kinds = dict.fromkeys(("accuracy", "source", "score"), pl.Float64) | dict.fromkeys(
        ("algorithm", "target"), pl.String
    )
    return pl.DataFrame(rows, [*CANDIDATE, "accuracy", "source", "score"], orient="row", schema_overrides=kinds)


def number(score: object) -> float:
    return -math.inf if score is None or math.isnan(float(score)) else float(score)  # type: ignore[arg-type]  # a float


def mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def naive_pick(models: list[Row], by: str, value: str) -> float:
    """Of what scores best: a draw at random, then an algorithm, then a step."""
    top = max(number(m[by]) for m in models)
    tied = [m for m in models if number(m[by]) == top]
    return mean(
        mean(
            mean(float(m[value]) for m in tied if (m["draw"], m["algorithm"]) == (draw, algorithm))  # type: ignore[arg-type]
            for algorithm in {m["algorithm"] for m in tied if m["draw"] == draw}
        )
        for draw in {m["draw"] for m in tied}
    )


def naive(models: pl.DataFrame, by: str, choice: Choice, size: int | None = None) -> dict[tuple[str, int], list[float]]:
    """Accuracy and hits by set: the mean over all subsets of so many draws (or algorithms)."""
    found = {}
    for (target, trial), part in models.group_by(SET):
        rows = part.to_dicts()
        if choice == "method":  # every algorithm has one model, so its draw tells nothing
            rows = [row | {"draw": 0} for row in rows]
        split = [[r for r in rows if r["algorithm"] == a] for a in sorted({r["algorithm"] for r in rows})]
        groups = split if choice == "hyperparameters" else [rows]
        unit = "algorithm" if choice == "method" else "draw"
        values = []
        for group in groups:
            best = max(row["accuracy"] for row in group)
            marked = [row | {"hit": float(row["accuracy"] == best)} for row in group]
            units = sorted({row[unit] for row in group})
            subsets = list(itertools.combinations(units, size or len(units)))
            for value in ("accuracy", "hit"):
                values.append(mean(naive_pick([r for r in marked if r[unit] in s], by, value) for s in subsets))
        found[str(target), int(str(trial))] = [mean(values[0::2]), mean(values[1::2])]
    return found


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("by", ["source", "score", "accuracy"])
def test_choices_are_those_of_every_subset(choice: Choice, seed: int, by: str) -> None:
    among = offered(drawn(seed), choice)
    whole, searches = chosen(among, by, choice)
    expected = naive(among, by, choice)
    for target, trial, picked, hit in whole.iter_rows():
        assert [picked, hit] == pytest.approx(expected[target, trial])
    sizes = searches["size"].unique().to_list()
    assert sizes == list(range(1, 4 if choice == "method" else 5))
    for size in sizes:
        expected = naive(among, by, choice, size)
        for target, trial, picked in searches.filter(size=size).drop("size").iter_rows():
            assert picked == pytest.approx(expected[target, trial][0])


def test_the_reference_itself_is_right_on_a_case_by_hand() -> None:
    rows: list[Row] = [
        {"algorithm": "a", "draw": 0, "s": 1.0, "accuracy": 0.2},
        {"algorithm": "a", "draw": 1, "s": 1.0, "accuracy": 0.4},
        {"algorithm": "b", "draw": 1, "s": 1.0, "accuracy": 0.8},
        {"algorithm": "b", "draw": 2, "s": 0.5, "accuracy": 0.9},
    ]
    assert naive_pick(rows, "s", "accuracy") == pytest.approx((0.2 + (0.4 + 0.8) / 2) / 2)


def test_a_criterion_that_knows_the_accuracy_regrets_nothing_and_one_that_knows_nothing_picks_the_mean() -> None:
    models = drawn(7, steps=1).with_columns(constant=1.0)
    for choice in CHOICES:
        among = offered(models, choice)
        best, _ = chosen(among, "accuracy", choice)
        top = among.group_by(*SET, *(["algorithm"] if choice == "hyperparameters" else [])).agg(
            pl.col("accuracy").max()
        )
        assert best["picked"].to_list() == pytest.approx(
            top.group_by(SET).agg(pl.mean("accuracy")).sort(SET)["accuracy"]
        )
        assert best["hit"].to_list() == [1.0] * 4
        blind, searches = chosen(among, "constant", choice)
        plain = among.group_by(SET).agg(pl.mean("accuracy")).sort(SET)["accuracy"].to_list()
        assert blind["picked"].to_list() == pytest.approx(plain)
        for size in searches["size"].unique():
            assert searches.filter(size=size)["picked"].to_list() == pytest.approx(plain)


def test_chances_sum_to_one_and_are_those_of_the_closed_form() -> None:
    worth = np.array([0.3, 0.9, 0.9, -math.inf, 0.5, 0.3, 0.9])
    found = chances_of(worth)
    assert found.sum(axis=1) == pytest.approx(np.ones(7))
    for k, draw in itertools.product(range(1, 8), range(7)):
        i, j = (worth > worth[draw]).sum(), (worth >= worth[draw]).sum()
        ways = math.comb(7 - i, k) - math.comb(7 - j, k)
        assert found[k - 1, draw] == pytest.approx(ways / math.comb(7, k) / (j - i))


def test_many_draws_are_as_exact_as_few() -> None:
    found = chances_of(np.arange(400.0))
    assert found.sum(axis=1) == pytest.approx(np.ones(400))
    assert found[199, 399] == pytest.approx(0.5)


def naive_tau(x: list[float], y: list[float]) -> float:
    pairs = [
        (np.sign(np.subtract(*a)), np.sign(np.subtract(*b)))
        for a, b in zip(*(itertools.combinations(v, 2) for v in (x, y)), strict=True)
    ]
    return sum(a * b for a, b in pairs) / math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))


def test_correlations_are_those_of_the_textbook() -> None:
    models = drawn(11, draws=6)
    finite = models.with_columns(score=pl.col("score").replace(-math.inf, -5.0).fill_nan(-5.0).fill_null(-5.0))
    found = correlations(models, "score")
    for row in found.iter_rows(named=True):
        part = finite.filter(target=row["target"], trial=row["trial"])
        groups = [part, *(part.filter(algorithm=a) for a in "abc")]
        both = [(g["score"].to_list(), g["accuracy"].to_list()) for g in groups]
        spearman, kendall = [float(spearmanr(*b).statistic) for b in both], [naive_tau(*b) for b in both]
        assert [row[name] for name in CORRELATIONS] == pytest.approx(
            [mean(spearman[1:]), mean(kendall[1:]), spearman[0], kendall[0]]
        )


def test_correlations_of_many_models_are_those_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    models = drawn(3)
    few = correlations(models, "score")
    monkeypatch.setattr(judging, "_FEW", 0)
    assert correlations(models, "score").equals(few)


def test_a_correlation_is_nought_where_scores_are_equal_and_unknown_where_accuracies_are() -> None:
    models = drawn(3).with_columns(
        accuracy=pl.when(target="x").then(0.5).otherwise("accuracy"), constant=0.1, same=pl.col("accuracy")
    )
    flat = correlations(models, "constant")
    assert flat.filter(target="x").select(CORRELATIONS).null_count().row(0) == (2, 2, 2, 2)
    assert set(flat.filter(target="y").select(CORRELATIONS).unpivot()["value"]) == {0.0}
    perfect = correlations(drawn(3).with_columns(same=pl.col("accuracy")), "same")
    assert set(perfect.select(CORRELATIONS).unpivot()["value"]) == {1.0}


def test_the_method_is_chosen_among_the_models_that_a_board_takes_by_source_validation() -> None:
    random = np.random.default_rng(2)
    records = tables(
        candidate(
            algorithm, target, trial, draw, step,
            clean={"a": float(random.choice([0.7, 0.8, math.nan]))}, on_target=float(random.random()),
        )
        for algorithm, target, trial, draw, step in itertools.product("uvw", "bc", range(2), range(3), (50, 100))
    )  # fmt: skip
    points, refusals = scored(*records, [CRITERIA["source"]])
    assert refusals == {}
    taken = choose(*records, CRITERIA["source"]).select(CANDIDATE).sort(CANDIDATE)
    assert offered(points, "method").select(CANDIDATE).sort(CANDIDATE).equals(taken)


def test_models_of_a_set_are_scored_on_the_same_families_and_a_refusal_says_why() -> None:
    shifted = {"blur": {"a": 0.5}, "edges": {"a": 0.1}}
    records = tables(
        [
            candidate("u", shifted=shifted, trained=["edges"]),
            candidate("v", shifted=shifted),
            candidate("w", shifted=shifted),
        ]
    )
    points, refusals = scored(*records, [CRITERIA["augmented"], CRITERIA["augmented_all"]])
    assert points["augmented"].to_list() == [0.5] * 3
    assert points["augmented_all"].to_list() == [0.3] * 3
    assert refusals == {}
    plain, refusals = scored(*tables([candidate("u")]), [CRITERIA["source"], CRITERIA["augmented"]])
    assert plain.columns == [*CANDIDATE, "accuracy", "source"]
    assert "finds nothing to score" in refusals["augmented"]
