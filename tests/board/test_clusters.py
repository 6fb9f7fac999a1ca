"""What counts once on a board: targets that one training serves, and every dataset of several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from board.synthetic import candidate, entries, info, tables

from dgbench.board.build import build
from dgbench.core.errors import StoreError
from dgbench.selection.statistics import estimate


def served_together(algorithms: dict[str, list[list[float]]], targets: tuple[str, ...]) -> tuple[Any, Any]:
    """One training on ``source`` serves every target; values by target and trial."""
    return tables(
        candidate(name, target, trial, clean={"source": 0.9}, on_target=value, training=f"{name}-{trial}")
        for name, values in algorithms.items()
        for target, row in zip(targets, values, strict=True)
        for trial, value in enumerate(row)
    )


def test_targets_of_one_training_count_once() -> None:
    """Five targets in three trials are three trainings: intervals, differences and ranks are those of their means."""
    random = np.random.default_rng(0)
    targets = tuple("abcde")
    shared = 0.03 * random.standard_normal((2, 1, 3))
    erm, sam = (0.5 + shared + 0.01 * random.standard_normal((2, 5, 3))).tolist()
    rules = info(domains=targets, trials=3, algorithms=("erm", "sam"))
    found = entries(build(*served_together({"erm": erm, "sam": sam}, targets), rules))
    alone = estimate([np.mean(sam, axis=0).tolist()])
    assert found["sam"].accuracy.n == 3
    assert (found["sam"].accuracy.mean, found["sam"].accuracy.margin) == pytest.approx((alone.mean, alone.margin))
    paired = estimate([np.mean(np.array(sam) - np.array(erm), axis=0).tolist()])
    assert found["sam"].difference is not None
    assert found["sam"].difference.margin == pytest.approx(paired.margin)
    assert found["sam"].gap.margin == pytest.approx(alone.margin)
    assert found["sam"].targets["a"].n == 3
    qualities = build(*served_together({"erm": erm, "sam": sam}, targets), rules).tracks[0].qualities
    assert {quality.picked.n for quality in qualities} == {3}


def test_which_training_a_draw_chose_makes_no_difference_to_clusters() -> None:
    """The two targets of a trial are served by different draws, yet by trainings on the same domains."""
    pool = [
        candidate("erm", target, trial, draw, clean={"source": 0.5 + 0.1 * (draw == (target == "b"))}, on_target=0.5)
        for target in ("a", "b")
        for trial in range(2)
        for draw in range(2)
    ]
    made = build(*tables(pool), info(draws=2, algorithms=("erm",)))
    assert set(made.cells["draw"]) == {0, 1}
    assert entries(made)["erm"].accuracy.n == 2


def test_a_target_with_two_sets_of_sources_is_refused() -> None:
    pool = [candidate("erm", clean={"a": 0.9}), candidate("sam", clean={"c": 0.9})]
    with pytest.raises(StoreError, match="served by two sets of source domains"):
        build(*tables(pool), info(domains=("b",), trials=1))


def test_each_dataset_counts_once_in_the_quality_too() -> None:
    pool = [
        candidate("erm", f"{dataset}/{target}", trial, clean={"z": 0.9}, on_target=value, dataset=dataset)
        for dataset, targets in {"one": {"a": 0.2}, "two": {"a": 0.6, "b": 0.7, "c": 0.8}}.items()
        for target, value in targets.items()
        for trial in range(2)
    ]
    cases = ("one/a", "two/a", "two/b", "two/c")
    weights = dict(zip(cases, (1, 1 / 3, 1 / 3, 1 / 3), strict=True))
    made = build(*tables(pool), info(domains=cases, weights=weights, algorithms=("erm",)))
    assert entries(made)["erm"].accuracy.mean == pytest.approx((0.2 + 0.7) / 2)
    assert made.tracks[0].qualities[0].picked.mean == pytest.approx((0.2 + 0.7) / 2)
    assert entries(made)["erm"].accuracy.n == 4
