"""Moderated variances against Smyth's formulas solved another way, and pairs by them against a loop in plain Python."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import polygamma

from dgbench.selection.moderated import Prior, prior, trigamma_inverse
from dgbench.selection.pairs import contrasts, pairs
from dgbench.selection.statistics import Estimate, difference, estimate


@settings(deadline=None)
@given(st.floats(-8, 8))
def test_the_inverse_of_the_trigamma_function_is_one(exponent: float) -> None:
    assert polygamma(1, trigamma_inverse(10**exponent)) == pytest.approx(10**exponent, rel=1e-7)


@pytest.mark.parametrize(("df", "variance", "own"), [(4.0, 0.01, 2), (10.0, 3.0, 8), (2.5, 1e-6, 6.4)])
def test_a_prior_that_variances_were_drawn_from_is_found_again(df: float, variance: float, own: float) -> None:
    random = np.random.default_rng(0)
    true = variance * df / random.chisquare(df, 100_000)
    found = prior(true * random.chisquare(own, true.size) / own, own)
    assert found.df == pytest.approx(df, rel=0.06)
    assert found.variance == pytest.approx(variance, rel=0.02)


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=30), st.floats(1, 30))
def test_the_prior_has_the_moments_of_the_measured_logarithms(variances: list[float], df: float) -> None:
    """log s^2 is that of s0^2 and of two chi-squares over their degrees of freedom: its mean and its variance."""
    found = prior(np.array(variances), df)
    logs = np.log(variances)
    mean, spread = _log_chi2(df)
    if math.isinf(found.df):
        assert logs.var(ddof=1) <= spread * (1 + 1e-6)
        assert math.log(found.variance) == pytest.approx(logs.mean() - mean + math.log(df), abs=1e-6)
    elif 0.5 < found.df < 1e4:  # where numbers can be integrated
        mean0, spread0 = _log_chi2(found.df)
        expected = math.log(found.variance) + mean - math.log(df) - mean0 + math.log(found.df)
        assert logs.mean() == pytest.approx(expected, abs=1e-4)
        assert logs.var(ddof=1) == pytest.approx(spread + spread0, rel=1e-3)


def _log_chi2(df: float) -> tuple[float, float]:
    """Mean and variance of the logarithm of a chi-square: scipy's log-gamma distribution."""
    mean, variance = scipy.stats.loggamma.stats(df / 2)
    return float(mean) + math.log(2), float(variance)


def test_between_no_prior_and_nothing_but_the_prior() -> None:
    measured = np.array([0.1, 1.0, 4.0])
    assert Prior(2.0, 1e-12).moderate(measured, 3.0) == pytest.approx(measured)
    assert Prior(2.0, math.inf).moderate(measured, 3.0) == pytest.approx([2.0, 2.0, 2.0])
    assert Prior(2.0, 6.0).moderate(measured, 3.0) == pytest.approx((6 * 2 + 3 * measured) / 9)


def board(
    algorithms: int, shape: tuple[int, int] = (4, 3), seed: int = 0, spread: float = 0.5
) -> dict[str, list[list[float]]]:
    """Equal algorithms, but for how far their trials scatter."""
    random = np.random.default_rng(seed)
    cells = 0.03 * random.standard_normal(shape)
    own = 0.02 * np.exp(spread * random.standard_normal(algorithms))
    return {f"a{n}": (0.6 + cells + sd * random.standard_normal(shape)).tolist() for n, sd in enumerate(own)}


def naive(scores: dict[str, Any], weights: list[float], clusters: list[str]) -> dict[tuple[str, str], Any]:
    """Error and degrees of freedom of each pair, one number after the other; NaN marks what is not there."""
    names = sorted(set(clusters))
    share = np.array(weights) / sum(weights)
    parts = {}
    for a, b in itertools.combinations(scores, 2):
        gaps = np.array(scores[a]) - np.array(scores[b])
        parts[a, b] = []
        for name in names:
            rows = [t for t, cluster in enumerate(clusters) if cluster == name]
            sums = sum(share[t] * gaps[t] for t in rows)
            there = sums[~np.isnan(sums)]
            parts[a, b].append((there.var(ddof=1) / len(there), len(there) - 1))
    totals = {pair: sum(v for v, _ in each) for pair, each in parts.items()}
    sums = [sum(each[c][0] / math.sqrt(totals[pair]) for pair, each in parts.items()) for c in range(len(names))]
    mean = [one / sum(sums) for one in sums]
    frees = [free for _, free in next(iter(parts.values()))]
    d = 1 / sum(m**2 / free for m, free in zip(mean, frees, strict=True))
    logs = np.log(list(totals.values()))
    centre, spread = _log_chi2(d)
    excess = logs.var(ddof=1) - spread
    level = logs.mean() - centre + math.log(d)
    top = (len(scores) - 1) * d / 2
    if excess <= 0:
        return {pair: (math.exp(level / 2), top) for pair in totals}
    d0 = scipy.optimize.brentq(lambda x: _log_chi2(x)[1] - excess, 1e-3, 1e9)
    s0 = math.exp(level + _log_chi2(d0)[0] - math.log(d0))
    return {pair: (math.sqrt((d0 * s0 + d * s) / (d0 + d)), min(d0 + d, top)) for pair, s in totals.items()}


LOST = math.nan
SOME = [[0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
SHAPES: dict[str, tuple[list[float], list[str], list[list[int]]]] = {
    "a target for each training": ([1, 1, 1, 1], ["a", "b", "c", "d"], [[0, 0, 0]] * 4),
    "two datasets": ([1, 1, 1, 3], ["a", "b", "c", "d"], [[0, 0, 0]] * 4),
    "one training for all": ([1, 1, 1, 1], ["a"] * 4, [[0, 0, 0]] * 4),
    "one training for two": ([1, 2, 1, 1], ["a", "a", "b", "c"], [[0, 0, 0]] * 4),
    "one target": ([1], ["a"], [[0, 0, 0]]),
    "trials that some targets have not": ([1, 1, 1, 1], ["a", "b", "b", "c"], SOME),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("algorithms", "spread"), [(4, 0.5), (5, 1.5), (9, 0.0)])
def test_pairs_are_those_of_the_formulas_on_a_board_of_any_shape(shape: str, algorithms: int, spread: float) -> None:
    weights, clusters, lost = SHAPES[shape]
    scores = {
        name: [[LOST if gone else v for v, gone in zip(*row, strict=True)] for row in zip(values, lost, strict=False)]
        for name, values in board(algorithms, seed=algorithms, spread=spread).items()
    }
    found = contrasts(scores, weights, clusters)
    expected = naive(scores, weights, clusters)
    for (a, b), (error, df) in expected.items():
        one = found.between(a, b)
        assert one is not None
        assert (one.error, one.df) == pytest.approx((error, df), rel=1e-5)
        alone = difference(scores[a], scores[b], weights, clusters)
        assert (one.mean, one.n) == (pytest.approx(alone.mean), alone.n)
        assert found.between(b, a) == -one


@pytest.mark.parametrize("algorithms", [2, 3])
def test_two_or_three_algorithms_are_compared_by_their_own_trials(algorithms: int) -> None:
    scores = board(algorithms)
    for (a, b), one in contrasts(scores).known.items():
        alone = difference(scores[a], scores[b])
        assert (one.mean, one.error, one.df) == pytest.approx((alone.mean, alone.error, alone.df))
    single = {name: values[:1] for name, values in scores.items()}
    for (a, b), one in contrasts(single).known.items():
        assert one.p == pytest.approx(scipy.stats.ttest_rel(single[a][0], single[b][0]).pvalue)


def test_equal_variances_are_pooled() -> None:
    """Algorithms whose deviations are at right angles in eight trials: each pair differs by the same variance."""
    axes = scipy.linalg.hadamard(8)[1:6] / 100
    found = contrasts({f"a{n}": [row.tolist()] for n, row in enumerate(axes)})
    measured = 2 * 8 / 100**2 / 7 / 8  # of the mean of eight trials, with d = 7
    for one in found.known.values():
        assert one.error == pytest.approx(math.sqrt(measured * math.exp(math.log(7) - _log_chi2(7)[0])))
        assert one.df == pytest.approx(4 * 7 / 2)


def test_variances_that_have_nothing_in_common_keep_their_own() -> None:
    far = board(6, spread=0.0)
    far["wild"] = (np.array(far["a0"]) + 1000 * np.array(board(1, seed=9)["a0"])).tolist()
    found = contrasts(far)
    own = difference(far["wild"], far["a1"])
    moderated = found.between("wild", "a1")
    assert moderated is not None
    assert moderated.error == pytest.approx(own.error, rel=0.25), "what two variances have in common is next to nothing"


def test_where_chance_cannot_be_measured_nothing_is_borrowed() -> None:
    once = {name: [row[:1] for row in values] for name, values in board(5).items()}
    assert {(one.error, one.p) for one in contrasts(once).known.values()} == {(None, None)}
    scores = board(5)
    for values in scores.values():
        values[1][2] = LOST
    served = contrasts(scores, None, ["x", "x", "y", "z"])
    assert {one.interval for one in served.known.values()} == {None}


def test_pairs_that_always_differ_by_the_same_stay_unmeasured_and_their_copies_count_once() -> None:
    scores = board(4)
    lifted = {f"{name} lifted": (np.array(values) + 0.25).tolist() for name, values in scores.items()}
    both = contrasts(scores | lifted)
    for name in scores:
        one = both.between(f"{name} lifted", name)
        assert one is not None
        assert (one.mean, one.error, one.p) == (pytest.approx(0.25), 0, None)
    assert both.between("a0", "a1").df <= contrasts(scores).between("a0", "a1").df * 1.2  # type: ignore[union-attr,operator]
    assert all(pair.p == 1 for pair in pairs(scores | lifted) if pair.second == f"{pair.first} lifted")


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 8), st.integers(0, 99), st.floats(1e-3, 1e3), st.permutations(range(8)))
def test_units_and_order_make_no_difference(algorithms: int, seed: int, unit: float, order: list[int]) -> None:
    scores = board(algorithms, seed=seed)
    found = contrasts(scores)
    names = [f"a{n}" for n in order if n < algorithms]
    other = contrasts({name: (unit * np.array(scores[name])).tolist() for name in names})
    for (a, b), one in found.known.items():
        turned = other.between(a, b)
        assert turned is not None
        assert (turned.mean, turned.error, turned.df) == pytest.approx((unit * one.mean, unit * one.error, one.df))  # type: ignore[operator]


def test_equal_algorithms_stay_together_and_different_ones_are_found_far_more_often() -> None:
    """400 boards of eight algorithms that scatter unequally, three of them better by two of the usual spreads."""
    torn = found = alone = covered = 0
    better = {"a0", "a1", "a2"}
    for seed in range(400):
        scores = board(8, seed=seed)
        compared = pairs(scores)
        torn += any(pair.better for pair in compared)
        for pair in compared:
            low, high = pair.difference.interval or (0, 0)
            covered += low <= 0 <= high
        lifted = {n: (np.array(v) + 0.04 * (n in better)).tolist() for n, v in scores.items()}
        found += sum((p.first in better) != (p.second in better) and p.better is not None for p in pairs(lifted))
        alone += _alone(lifted, better)
    assert torn / 400 <= 0.05 + 2 * (0.05 * 0.95 / 400) ** 0.5
    assert abs(covered / (400 * 28) - 0.95) <= 0.02
    assert found > 2 * alone > 0


def _alone(scores: dict[str, Any], better: set[str]) -> int:
    """How many true differences Welch and Holm find, each variance by itself."""
    values = {name: np.array(rows) for name, rows in scores.items()}
    p: list[tuple[float, bool]] = []
    for a, b in itertools.combinations(values, 2):
        variances = (values[a] - values[b]).var(axis=1, ddof=1) / 3
        df = variances.sum() ** 2 / (variances**2 / 2).sum()
        t = (values[a] - values[b]).mean() / math.sqrt(variances.sum() / 16)
        p.append((2 * scipy.stats.t.sf(abs(t), df), (a in better) != (b in better)))
    count = 0
    for rank, (one, true) in enumerate(sorted(p)):
        if one * (len(p) - rank) > 0.05:
            break
        count += true
    return count


def test_an_estimate_of_one_algorithm_is_its_own() -> None:
    scores = board(6)
    alone: Estimate = estimate(scores["a0"])
    strata = np.array(scores["a0"]).var(axis=1, ddof=1) / 3 / 16
    assert alone.error == pytest.approx(math.sqrt(strata.sum()))
