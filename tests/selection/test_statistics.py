from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dgbench.selection.pairs import adjusted, pairs, ranks
from dgbench.selection.statistics import CORRELATION, LEVEL, SHARE, Estimate, Range, Values, difference, estimate

accuracies = st.integers(0, 1000).map(lambda n: n / 1000)


def test_one_stratum_is_the_ordinary_t_interval() -> None:
    values = [0.71, 0.74, 0.69, 0.72, 0.78]
    found = estimate([values])
    low, high = scipy.stats.t.interval(LEVEL, 4, np.mean(values), scipy.stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert found.p == pytest.approx(scipy.stats.ttest_1samp(values, 0).pvalue)


def test_two_strata_have_the_error_and_df_of_welch() -> None:
    # the mean of two means has the df of their difference
    x, y = [0.1, 0.4, 0.2, 0.3], [0.9, 0.5, 0.2]
    welch = scipy.stats.ttest_ind(x, [-v for v in y], equal_var=False)
    found = estimate([x, y])
    low, high = welch.confidence_interval(LEVEL)
    assert (found.low, found.high) == pytest.approx((low / 2, high / 2))
    assert found.df == pytest.approx(welch.df)
    assert found.p == pytest.approx(welch.pvalue)


def test_a_stratified_interval_by_hand() -> None:
    # within-target variances 0.01 and 0.04, n 2 each: error = sqrt(0.005 + 0.02) / 2, df = 0.025^2 / (0.005^2 + 0.02^2)
    found = estimate([[0.5 - 0.1 / 2**0.5, 0.5 + 0.1 / 2**0.5], [0.7 - 0.2 / 2**0.5, 0.7 + 0.2 / 2**0.5]])
    assert found.mean == pytest.approx(0.6)
    assert found.error == pytest.approx(0.025**0.5 / 2)
    assert found.df == pytest.approx(0.000625 / 0.000425)
    assert found.n == 4


def test_targets_are_fixed_so_their_distance_adds_no_error() -> None:
    near = estimate([[0.5, 0.6], [0.5, 0.6]])
    far = estimate([[0.1, 0.2], [0.8, 0.9]])
    assert far.margin == pytest.approx(near.margin)


def test_a_single_trial_has_no_interval() -> None:
    found = estimate([[0.5], [0.7]])
    assert (found.mean, found.margin, found.low, found.p) == (pytest.approx(0.6), None, None, None)


def test_without_values_there_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        estimate([])
    with pytest.raises(ValueError, match="at least one value"):
        estimate([[0.1], []])


@given(st.lists(st.lists(accuracies, min_size=2, max_size=4), min_size=1, max_size=4))
def test_an_algorithm_does_not_differ_from_itself(scores: list[list[float]]) -> None:
    found = difference(scores, scores)
    assert (found.mean, found.error, found.margin, found.p) == (0, 0, None, 1)


@given(
    gap=st.integers(-1000, 1000),
    counts=st.lists(st.lists(st.integers(0, 1000), min_size=3, max_size=3), min_size=1, max_size=6),
    n=st.integers(1001, 60_000),
    weights=st.lists(st.floats(0.01, 10), min_size=6, max_size=6),
    together=st.booleans(),
)
def test_equal_differences_are_no_measure_of_chance(
    gap: int, counts: list[list[int]], n: int, weights: list[float], together: bool
) -> None:
    """One algorithm has the same number of pictures more in every trial: in floats these differences are not equal."""
    low = [[(count + 1000) / (n + 2000) for count in row] for row in counts]
    high = [[(count + 1000 + gap) / (n + 2000) for count in row] for row in counts]
    clusters = ["one"] * len(counts) if together else None
    found = difference(high, low, weights[: len(counts)], clusters)
    assert (found.error, found.margin) == (0, None)
    assert found.p == (1 if gap == 0 else None)
    assert found.mean == pytest.approx(gap / (n + 2000))
    assert best({"low": low, "high": high}, weights[: len(counts)], clusters) == {"low": 1, "high": 1}


def test_no_pair_is_separated_by_rounding() -> None:
    """2,000 pairs with three equal differences each: by naive t-tests nearly half of them differ beyond doubt."""
    random = np.random.default_rng(0)
    naive = separated = 0
    for _ in range(2000):
        n = int(random.integers(50, 5000))
        low = random.integers(0, n // 2, 3)
        gap = int(random.integers(1, n // 2))
        first, second = (low + gap) / n, low / n
        spread = np.std(first - second, ddof=1)
        naive += 0 < spread < 1e-12
        separated += max(best({"a": [first.tolist()], "b": [second.tolist()]}).values()) > 1
    assert naive > 500
    assert separated == 0


@given(st.lists(st.lists(accuracies, min_size=3, max_size=3), min_size=1, max_size=5))
def test_what_one_training_serves_counts_once(scores: list[list[float]]) -> None:
    """Targets of one cluster are the t-test of their means, however many there are."""
    found = estimate(scores, clusters=["one"] * len(scores))
    means = np.mean(scores, axis=0)
    assert found.mean == pytest.approx(means.mean())
    assert found.n == 3
    if np.ptp(means) > 1e-9:
        assert found.error == pytest.approx(scipy.stats.sem(means))
        assert found.df == pytest.approx(2)


def test_clusters_are_strata_with_the_weight_of_their_targets() -> None:
    a, b, c = [0.2, 0.5, 0.3], [0.4, 0.6, 0.9], [0.1, 0.5, 0.2]
    found = estimate([a, b, c], [1.0, 3.0, 2.0], ["x", "x", "y"])
    joined = estimate([(np.array(a) / 4 + 3 * np.array(b) / 4).tolist(), c], [4.0, 2.0])
    assert (found.mean, found.error, found.df, found.n) == pytest.approx((joined.mean, joined.error, joined.df, 6))


def test_copies_of_a_target_tell_nothing_new() -> None:
    one = estimate([[0.2, 0.5, 0.3]])
    many = estimate([[0.2, 0.5, 0.3]] * 20, clusters=["served together"] * 20)
    assert (many.mean, many.error, many.df, many.n) == pytest.approx((one.mean, one.error, one.df, one.n))


def test_trials_that_do_not_cover_the_same_targets_have_a_mean_and_no_interval() -> None:
    nan = math.nan
    found = estimate([[0.1, 0.3, 0.2], [0.9, nan, 0.7]], clusters=["x", "x"])
    assert (found.mean, found.n, found.margin) == (pytest.approx((0.2 + 0.8) / 2), 3, None)
    # a trial that is missing as a whole is only one less
    whole = estimate([[0.1, nan, 0.2], [0.9, nan, 0.7]], clusters=["x", "x"])
    assert whole.margin == pytest.approx(estimate([[0.1, 0.2], [0.9, 0.7]], clusters=["x", "x"]).margin)


def test_pairing_removes_what_trials_share() -> None:
    shared = np.array([0.5, 0.7, 0.3])
    better = difference([list(shared + 0.02)], [list(shared + np.array([0.001, 0, -0.001]))])
    assert better.p is not None
    assert better.p < 0.01


def test_the_interval_covers_the_truth_in_19_of_20_boards() -> None:
    """2,000 boards of 4 targets and 3 trials whose spread differs from target to target."""
    random = np.random.default_rng(0)
    truth, spread = np.array([0.8, 0.7, 0.6, 0.4]), np.array([0.01, 0.02, 0.03, 0.04])
    covered = 0
    for _ in range(2000):
        found = estimate((truth[:, None] + spread[:, None] * random.standard_normal((4, 3))).tolist())
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth.mean() <= found.high
    # four standard errors of a share of 95 % in 2,000 draws are 2 points
    assert covered / 2000 == pytest.approx(LEVEL, abs=0.02)


def best(scores: Mapping[str, Values], *shape: Sequence[Any]) -> dict[str, int]:
    return {name: low for name, (low, _) in ranks(scores, pairs(scores, *shape)).items()}


def board(means: dict[str, float], seed: int = 0, spread: float = 0.01) -> dict[str, list[list[float]]]:
    random = np.random.default_rng(seed)
    return {name: (mean + spread * random.standard_normal((4, 5))).tolist() for name, mean in means.items()}


def test_clear_differences_give_clear_ranks() -> None:
    assert best(board({"b": 0.5, "a": 0.9, "c": 0.1})) == {"a": 1, "b": 2, "c": 3}


def test_equal_scores_share_a_rank() -> None:
    scores = board({"a": 0.5})["a"]
    assert best({"a": scores, "b": scores, "c": scores}) == {"a": 1, "b": 1, "c": 1}


def test_one_of_two_that_tie_above_a_third() -> None:
    scores = board({"a": 0.9, "c": 0.1})
    assert best({"c": scores["c"], "a": scores["a"], "b": scores["a"]}) == {"a": 1, "b": 1, "c": 3}


def test_who_scatters_is_not_placed() -> None:
    """The wide one has the lower mean, and yet nobody is shown to beat it."""
    scores = board({"a": 0.9, "steady": 0.85}, spread=0.002) | {"wide": [[1.0, 0.6, 1.0, 0.6, 0.85]] * 4}
    assert best(scores) == {"a": 1, "steady": 2, "wide": 1}


def test_a_single_trial_ranks_nobody() -> None:
    assert best({"a": [[0.9], [0.8]], "b": [[0.1], [0.2]]}) == {"a": 1, "b": 1}


def test_permuting_algorithms_permutes_ranks() -> None:
    scores = board({"a": 0.90, "b": 0.88, "c": 0.60, "d": 0.59})
    expected = best(scores)
    assert len(set(expected.values())) > 1
    for order in itertools.permutations(scores):
        assert best({name: scores[name] for name in order}) == expected
    renamed = dict(zip("wxyz", scores, strict=True))
    assert best({new: scores[old] for new, old in renamed.items()}) == {n: expected[o] for n, o in renamed.items()}


def test_equal_algorithms_are_rarely_torn_apart() -> None:
    """Ten algorithms of equal worth, 300 boards: a family-wise error of 5 % lets at most a few be split."""
    split = sum(max(best(board(dict.fromkeys("abcdefghij", 0.5), seed)).values()) > 1 for seed in range(300))
    assert split / 300 <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_holm_by_hand() -> None:
    # times 4, 3, 2, 1, and never less than the one before
    found = adjusted({"d": 0.04, "a": 0.01, "c": 0.021, "b": 0.02})
    assert found == pytest.approx({"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.06})
    assert adjusted({"a": 0.3, "b": 0.6}) == pytest.approx({"a": 0.6, "b": 0.6})
    assert adjusted({"a": 0.7, "b": 0.6}) == {"a": 1.0, "b": 1.0}
    assert adjusted({}) == {}


def test_ranks_have_two_ends() -> None:
    """The one far ahead is first, the one far behind last, and two that tie may be second or third."""
    scores = board({"a": 0.9, "d": 0.1})
    scores |= {"b": board({"x": 0.5}, seed=1)["x"], "c": board({"x": 0.5}, seed=2)["x"]}
    assert ranks(scores, pairs(scores)) == {"a": (1, 1), "b": (2, 3), "c": (2, 3), "d": (4, 4)}
    lone = {"a": [[0.9], [0.8]], "b": [[0.1], [0.2]]}
    assert ranks(lone, pairs(lone)) == {"a": (1, 2), "b": (1, 2)}, "with one trial anyone may have any rank"


def test_the_true_ranks_lie_in_the_intervals_of_19_of_20_boards() -> None:
    means = {"a": 0.53, "b": 0.52, "c": 0.51, "d": 0.50}
    held = 0
    for seed in range(300):
        scores = board(means, seed)
        found = ranks(scores, pairs(scores))
        held += all(low <= rank <= high for rank, (low, high) in enumerate(found.values(), 1))
    assert held / 300 >= LEVEL - 3 * (0.05 * 0.95 / 300) ** 0.5


@given(st.floats(0, 1), st.floats(1e-6, 10), st.integers(1, 30))
def test_an_interval_of_shares_stays_among_shares(mean: float, error: float, df: int) -> None:
    found = Estimate(mean, df + 1, error, df, SHARE)
    assert 0 <= found.low <= mean <= found.high <= 1  # type: ignore[operator]
    uncut = Estimate(mean, df + 1, error, df)
    assert found.even == (uncut.low >= 0 and uncut.high <= 1)  # type: ignore[operator]


@given(st.floats(-0.999, 0.999), st.floats(1e-6, 10), st.integers(1, 30))
def test_an_interval_of_correlations_stays_among_correlations(mean: float, error: float, df: int) -> None:
    found = Estimate(mean, df + 1, error, df, CORRELATION)
    assert -1 <= found.low <= mean <= found.high <= 1  # type: ignore[operator]
    mirrored = Estimate(-mean, df + 1, error, df, CORRELATION)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))  # type: ignore[operator]


def test_intervals_of_correlations_cover_the_truth() -> None:
    """Means of five correlations, each of 20 pairs that correlate by 0.8: skew, near their bound."""
    random = np.random.default_rng(0)
    cov, covered, expected = [[1, 0.8], [0.8, 1]], 0, []
    drawn = [np.corrcoef(random.multivariate_normal([0, 0], cov, 20).T)[0, 1] for _ in range(5000)]
    truth = float(np.mean(drawn))
    for board_ in np.reshape(drawn, (1000, 5)):
        found = replace(estimate([board_.tolist()]), within=CORRELATION)
        covered += found.low <= truth <= found.high  # type: ignore[operator]
        expected.append(found)
    assert covered / 1000 == pytest.approx(LEVEL, abs=0.03)


def test_domainbeds_standard_error_is_too_small_for_three_trials() -> None:
    """DomainBed prints sd (ddof 0) / sqrt(3); this interval is 4.30 * sqrt(3/2) = 5.27 times as wide."""
    values = [0.70, 0.73, 0.79]
    printed = np.std(values) / 3**0.5
    assert estimate([values]).margin / printed == pytest.approx(4.3027 * 1.5**0.5, rel=1e-4)


def test_equal_differences_are_no_certainty() -> None:
    assert Estimate(0.1, 4, 0.0, 3.0).p is None
    assert Estimate(0.0, 4, 0.0, 3.0).p == 1


@given(strata=st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=4), min_size=1, max_size=5))
def test_equal_weights_change_nothing(strata: list[list[float]]) -> None:
    plain, weighted = estimate(strata), estimate(strata, [0.3] * len(strata))
    assert weighted.mean == pytest.approx(plain.mean)
    assert weighted.error == pytest.approx(plain.error)
    assert weighted.df == pytest.approx(plain.df)
    assert estimate(strata, clusters=range(len(strata))) == plain


def test_weights_give_each_dataset_its_share() -> None:
    """Two targets of one dataset and one of another: the mean of the datasets' means, its error from linear maps."""
    first, second, alone = [0.2, 0.4], [0.6, 0.6], [0.1, 0.5]
    found = estimate([first, second, alone], [0.5, 0.5, 1.0])
    assert found.mean == pytest.approx(((0.3 + 0.6) / 2 + 0.3) / 2)
    variances = [0.02 / 2, 0.0, 0.08 / 2]
    assert found.error == pytest.approx(math.sqrt(variances[0] / 16 + variances[1] / 16 + variances[2] / 4))


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="one weight above 0"):
        estimate([[1.0], [2.0]], weights)


def test_turned_around_an_estimate_is_that_of_the_other_difference() -> None:
    one, other = [[0.5, 0.7, 0.6]], [[0.4, 0.65, 0.6]]
    forth, back = difference(one, other), difference(other, one)
    assert -forth == back
    assert str((-difference(one, one)).mean) == "0.0", "and never minus nothing"
    share = replace(forth, within=SHARE)
    assert (-share).within == Range(-1.0, 0.0)


def test_an_estimate_is_shown_with_what_is_known_of_its_error() -> None:
    assert repr(estimate([[0.1, 0.2, 0.3]])) == "<0.2000, 95% interval -0.0484 to 0.4484, n 3>"
    assert repr(estimate([[0.1]])) == "<0.1000, n 1>"
