from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from board.synthetic import candidate, tables

from dgbench.core.errors import RecipeError
from dgbench.selection.criteria import Candidates, get
from dgbench.selection.design import Design
from dgbench.selection.quality import SET, Judged, Quality, quality
from dgbench.selection.records import CANDIDATE, by_trial


def judge(*candidates: Any, criterion: str = "source") -> Quality:
    metrics, runs = tables(candidates)
    by = get(criterion)
    judged = [Judged.of(Candidates(part, runs, SET), by) for part in by_trial(metrics)]
    points = pl.concat(part.points for part in judged).sort(CANDIDATE)
    return quality([part.sets for part in judged], points, by, Design.of(runs))


def pool(*pairs: tuple[float, float], trial: int = 0) -> list[Any]:
    """One algorithm for each pair of a source accuracy and a target accuracy."""
    return [candidate(f"a{i}", trial=trial, clean={"a": s}, on_target=t) for i, (s, t) in enumerate(pairs)]


def test_a_perfect_criterion_regrets_nothing() -> None:
    found = judge(*pool((0.7, 0.3), (0.8, 0.4), (0.9, 0.6)))
    assert found.correlation is not None
    assert (found.picked.mean, found.regret.mean, found.correlation.mean) == (0.6, 0, 1)


def test_by_hand() -> None:
    # ranks 1 2 3 4 against 4 2 1 3: Spearman = 1 - 6 * (9 + 0 + 4 + 1) / (4 * 15) = -0.4
    found = judge(*pool((0.1, 0.9), (0.2, 0.5), (0.3, 0.4), (0.4, 0.6)))
    assert found.correlation is not None
    assert found.correlation.mean == pytest.approx(-0.4)
    assert found.picked.mean == pytest.approx(0.6)
    assert found.regret.mean == pytest.approx(0.3)
    assert found.blind.mean == pytest.approx(0.6)
    assert found.best.mean == pytest.approx(0.9)
    assert found.candidates == 4


def test_published_averages_of_domainbed() -> None:
    """Fourteen algorithms, source validation against oracle, means over seven datasets (commit 7df6f06): 0.90."""
    iid = [66.6, 65.4, 64.8, 66.7, 66.7, 67.5, 63.3, 66.1, 65.6, 66.2, 67.2, 66.1, 65.6, 66.1]
    oracle = [68.7, 66.9, 67.9, 69.0, 68.7, 69.2, 66.9, 67.7, 68.2, 68.5, 68.7, 68.1, 68.2, 68.2]
    found = judge(*pool(*((s / 100, t / 100) for s, t in zip(iid, oracle, strict=True))))
    assert found.correlation is not None
    assert found.correlation.mean == pytest.approx(0.90, abs=0.005)


def test_where_several_share_the_best_score_the_pick_is_their_mean() -> None:
    found = judge(*pool((0.9, 0.3), (0.9, 0.5), (0.1, 0.8)))
    assert found.picked.mean == pytest.approx(0.4)


def test_a_saturated_criterion_correlates_with_nothing() -> None:
    found = judge(*pool((1.0, 0.3), (1.0, 0.5), (1.0, 0.7)))
    assert found.correlation is not None
    assert found.correlation.mean == 0
    assert found.regret.mean == pytest.approx(0.2)


def test_where_all_are_equal_there_is_nothing_to_correlate() -> None:
    found = judge(*pool((0.1, 0.5), (0.9, 0.5)))
    assert found.correlation is None
    assert found.regret.mean == 0


def test_not_a_number_ranks_below_every_number() -> None:
    found = judge(*pool((math.nan, 0.1), (0.2, 0.5), (0.3, 0.6)))
    assert found.correlation is not None
    assert found.correlation.mean == pytest.approx(1)
    assert found.picked.mean == 0.6


def test_trials_give_an_interval() -> None:
    found = judge(*pool((0.1, 0.5), (0.9, 0.6)), *pool((0.1, 0.5), (0.9, 0.4), trial=1))
    assert found.regret.n == 2
    assert found.regret.mean == pytest.approx(0.05)
    assert found.regret.margin is not None


def test_a_family_that_anyone_trained_with_is_held_out_for_all() -> None:
    shifted = {"blur": {"a": 0.5}, "edges": {"a": 0.4}}
    first, second = candidate("erm", shifted=shifted), candidate("sam", shifted=shifted, trained=["blur"])
    assert judge(first, second, criterion="augmented").views == ("edges",)
    third = candidate("irm", shifted=shifted, trained=["edges"])
    with pytest.raises(RecipeError, match="no shift family left"):
        judge(first, second, third, criterion="augmented")
