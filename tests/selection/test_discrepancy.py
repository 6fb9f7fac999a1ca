"""The distance of features between domains, against sums over single pairs, and in cases that are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from dgbench.selection.indicators.discrepancy import MOST, discrepancy

Rows = NDArray[np.float64]


def by_pairs(domains: list[Rows]) -> float:
    """The definition, example by example."""
    pooled = [row for part in domains for row in part]
    scale = float(np.median([((a - b) ** 2).sum() for a, b in itertools.combinations(pooled, 2)]))

    def mean(ones: Rows, others: Rows, *, same: bool) -> float:
        return float(
            np.mean(
                [
                    math.exp(-((a - b) ** 2).sum() / scale)
                    for i, a in enumerate(ones)
                    for j, b in enumerate(others)
                    if not (same and i == j)
                ]
            )
        )

    pairs = [
        mean(x, x, same=True) + mean(y, y, same=True) - 2 * mean(x, y, same=False)
        for x, y in itertools.combinations(domains, 2)
    ]
    return float(np.mean(pairs))


@pytest.fixture
def domains() -> list[Rows]:
    random = np.random.default_rng(0)
    return [random.normal(shift, 1, (count, 5)) for shift, count in ((0, 7), (0.5, 12), (2, 4))]


def test_is_the_mean_over_pairs_of_domains_of_sums_over_pairs_of_examples(domains: list[Rows]) -> None:
    assert discrepancy(domains) == pytest.approx(by_pairs(domains), abs=1e-12)
    assert discrepancy(domains[:2]) == pytest.approx(by_pairs(domains[:2]), abs=1e-12)


def test_size_place_and_direction_of_features_make_no_difference(domains: list[Rows]) -> None:
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    moved = [1000 * part @ turned + 30_000 for part in domains]
    assert discrepancy(moved) == pytest.approx(discrepancy(domains), abs=1e-9)


def test_samples_of_one_distribution_lie_apart_by_nothing_on_average() -> None:
    random = np.random.default_rng(2)
    found = [discrepancy([random.normal(size=(20, 3)) for _ in range(3)]) for _ in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(len(found))
    assert min(found) < 0 < max(found)


def test_two_points_far_apart() -> None:
    """Most pairs are of both domains, so their distance is the median: 2 (1 - 1/e)."""
    there = [np.zeros((10, 2)), np.full((11, 2), 3.0)]
    assert discrepancy(there) == pytest.approx(2 * (1 - math.exp(-1)), abs=1e-12)


def test_where_there_is_no_pair_there_is_no_distance(domains: list[Rows]) -> None:
    assert discrepancy([]) == discrepancy(domains[:1]) == 0
    assert discrepancy([domains[0], domains[1][:1]]) == 0, "a single example says nothing of its domain"
    assert discrepancy([domains[0], domains[1][:1], domains[2]]) == discrepancy([domains[0], domains[2]])
    assert discrepancy([np.ones((4, 2)), np.ones((5, 2))]) == 0


def test_of_many_examples_the_first_count() -> None:
    random = np.random.default_rng(3)
    first = [random.normal(shift, 1, (MOST // 2, 2)) for shift in (0, 1)]
    longer = [np.concatenate([part, part + 100]) for part in first]
    assert discrepancy(longer) == discrepancy(first)
