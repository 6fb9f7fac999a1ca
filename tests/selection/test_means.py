"""Means with moderated variances against a loop in plain Python, and by simulation."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from dgbench.selection.means import means
from dgbench.selection.statistics import SHARE, Estimate, estimate

LOST = math.nan
SHAPES: dict[str, tuple[list[float], list[str], list[list[int]]]] = {
    "a target for each training": ([1, 1, 1, 1], ["a", "b", "c", "d"], [[0, 0, 0]] * 4),
    "two datasets": ([1, 1, 1, 3], ["a", "b", "c", "d"], [[0, 0, 0]] * 4),
    "one training for all": ([1, 1, 1, 1], ["a"] * 4, [[0, 0, 0]] * 4),
    "one source for two": ([1, 2, 1, 1], ["a", "a", "b", "c"], [[0, 0, 0]] * 4),
    "trials that some targets have not": ([1, 1, 1], ["a", "b", "c"], [[0, 0, 0], [0, 1, 0], [0, 0, 1]]),
}


def board(
    algorithms: int, shape: tuple[int, int] = (4, 3), seed: int = 0, shared: float = 0.02, spread: float = 0.5
) -> dict[str, Any]:
    """Equal algorithms, to which a trial gives something in common."""
    random = np.random.default_rng(seed)
    cells = 0.6 + shared * random.standard_normal(shape)
    own = 0.02 * np.exp(spread * random.standard_normal(algorithms))
    return {f"a{n}": (cells + sd * random.standard_normal(shape)).tolist() for n, sd in enumerate(own)}


def naive(scores: dict[str, Any], weights: list[float], clusters: list[str]) -> dict[str, tuple[float, float]]:
    """Error and degrees of freedom of each mean, one number after the other."""
    names = sorted(set(clusters))
    share = np.array(weights) / sum(weights)
    trials: dict[str, list[np.ndarray]] = {}
    for name, values in scores.items():
        sums = [sum(share[t] * np.array(values[t]) for t, c in enumerate(clusters) if c == each) for each in names]
        trials[name] = [one[~np.isnan(one)] for one in sums]
    first = next(iter(trials.values()))
    free = [len(one) - 1 for one in first]
    parts = {name: [one.var(ddof=1) / len(one) for one in each] for name, each in trials.items()}
    totals = {name: sum(each) for name, each in parts.items()}
    sums = [sum(parts[name][c] / math.sqrt(totals[name]) for name in parts) for c in range(len(names))]
    d = 1 / sum((one / sum(sums)) ** 2 / f for one, f in zip(sums, free, strict=True))
    squares = []
    for a, b in itertools.combinations(trials, 2):
        covariance = sum(np.cov(x, y)[0, 1] / len(x) for x, y in zip(trials[a], trials[b], strict=True))
        squares.append(covariance**2 / totals[a] / totals[b])
    r2 = max(1 - (1 - np.mean(squares)) * (d + 1) / d, 0)
    worth = len(scores) / (1 + (len(scores) - 1) * r2)
    logs = np.log(list(totals.values()))
    centre, spread = _log_chi2(d)
    excess = logs.var(ddof=1) - (1 - r2) * spread
    level = logs.mean() - (1 - r2) * (centre - math.log(d))
    top = max(worth / 2, 1) * d
    if excess <= 0:
        return dict.fromkeys(scores, (math.exp(level / 2), top))
    d0 = scipy.optimize.brentq(lambda x: _log_chi2(x)[1] - excess, 1e-3, 1e9)
    s0 = math.exp(level + _log_chi2(d0)[0] - math.log(d0))
    return {name: (math.sqrt((d0 * s0 + d * s) / (d0 + d)), min(d0 + d, top)) for name, s in totals.items()}


def _log_chi2(df: float) -> tuple[float, float]:
    """Mean and variance of the logarithm of a chi-square: scipy's log-gamma distribution."""
    mean, variance = scipy.stats.loggamma.stats(df / 2)
    return float(mean) + math.log(2), float(variance)


def known(one: Estimate) -> tuple[Any, ...]:
    return one.mean, one.n, one.error, one.df


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("algorithms", "shared", "spread"), [(4, 0.01, 0.5), (6, 0.05, 1.5), (9, 0.0, 0.0)])
def test_means_are_those_of_the_formulas_on_a_board_of_any_shape(
    shape: str, algorithms: int, shared: float, spread: float
) -> None:
    weights, clusters, lost = SHAPES[shape]
    scores = {
        name: [[LOST if gone else v for v, gone in zip(*row, strict=True)] for row in zip(values, lost, strict=False)]
        for name, values in board(algorithms, seed=algorithms, shared=shared, spread=spread).items()
    }
    found = means(scores, weights, clusters, SHARE)
    for name, expected in naive(scores, weights, clusters).items():
        alone = estimate(scores[name], weights, clusters)
        assert (found[name].error, found[name].df) == pytest.approx(expected, rel=1e-5)
        assert (found[name].mean, found[name].n, found[name].within) == (pytest.approx(alone.mean), alone.n, SHARE)


@pytest.mark.parametrize(
    ("algorithms", "shape"), [(3, (4, 3)), (8, (1, 2)), (8, (4, 1))], ids=["few", "one degree of freedom", "one trial"]
)
def test_where_too_little_is_in_common_each_has_its_own(algorithms: int, shape: tuple[int, int]) -> None:
    scores = board(algorithms, shape)
    for name, one in means(scores).items():
        assert known(one) == pytest.approx(known(estimate(scores[name])))
    assert means({}) == {}


def test_own_variances_are_a_choice() -> None:
    scores = board(6)
    assert {name: known(one) for name, one in means(scores, variances="own").items()} == {
        name: pytest.approx(known(estimate(values))) for name, values in scores.items()
    }


def test_algorithms_that_move_as_one_lend_each_other_nothing() -> None:
    """They have the variance and the degrees of freedom of one."""
    scores = board(8, (1, 4), shared=1.0, spread=0.0)
    scores = {name: (0.6 + (np.array(values) - 0.6) / 1e3).tolist() for name, values in scores.items()}
    for name, one in means(scores).items():
        alone = estimate(scores[name])
        assert (one.error, one.df) == (pytest.approx(alone.error, rel=0.1), pytest.approx(alone.df, rel=0.02))


def test_algorithms_at_right_angles_share_one_variance() -> None:
    """Each scatters by the same, and none as another does: d is 7, and six are worth three of them."""
    axes = scipy.linalg.hadamard(8)[1:7] / 100
    found = means({f"a{n}": [row.tolist()] for n, row in enumerate(axes)})
    variance = 8 / 100**2 / 7 / 8
    for one in found.values():
        assert one.error == pytest.approx(math.sqrt(variance * math.exp(math.log(7) - _log_chi2(7)[0])))
        assert one.df == pytest.approx(6 * 7 / 2)


def test_copies_count_once_and_who_never_changes_measures_no_chance() -> None:
    scores = board(5)
    steady = {"steady": [[0.5] * 3] * 4}
    found = means(scores | {"copy": scores["a2"]} | steady)
    alone = means(scores)
    assert {name: known(found[name]) for name in scores} == {name: known(one) for name, one in alone.items()}
    assert found["copy"] == found["a2"]
    assert (found["steady"].error, found["steady"].margin) == (0, None)


def test_other_trials_are_refused() -> None:
    scores = board(4)
    scores["a1"][2][1] = LOST
    with pytest.raises(ValueError, match="the same targets and trials"):
        means(scores)


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 8), st.integers(0, 99), st.floats(1e-3, 1e3), st.permutations(range(8)))
def test_units_and_order_make_no_difference(algorithms: int, seed: int, unit: float, order: list[int]) -> None:
    scores = board(algorithms, seed=seed)
    found = means(scores)
    names = [f"a{n}" for n in order if n < algorithms]
    other = means({name: (unit * np.array(scores[name])).tolist() for name in names})
    for name, one in found.items():
        turned = other[name]
        assert (turned.mean, turned.error, turned.df) == pytest.approx((unit * one.mean, unit * one.error, one.df))  # type: ignore[operator]


@pytest.mark.parametrize("shared", [0.0, 0.02, 0.2])
def test_intervals_cover_the_truth_and_are_narrower_where_algorithms_move_apart(shared: float) -> None:
    """500 boards of eight algorithms in two trials. What a trial gives to all makes them cover or miss together."""
    widths, covers = [], []
    for seed in range(500):
        scores = board(8, (3, 2), seed=seed, shared=shared)
        ways = {"moderated": means(scores), "own": means(scores, variances="own")}
        covers.append([abs(one.mean - 0.6) <= one.margin for one in ways["moderated"].values()])  # type: ignore[operator]
        widths.append([[one.margin for one in way.values()] for way in ways.values()])
    assert 0.93 <= np.mean(covers) <= 0.985
    moderated, own = np.median(np.array(widths), axis=(0, 2))
    assert moderated < own * (0.65 if shared == 0 else 1.01)
