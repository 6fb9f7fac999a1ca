"""How many trials a comparison needs, against draws of what it is about."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from dgbench.selection.power import MOST, POWER, chance, needed, smallest
from dgbench.selection.statistics import Estimate

GAP = Estimate(0.02, 12, 0.01, 8.0)
"""Of three trials on four targets."""


def _found(difference: float, trials: int, level: float) -> float:
    """The share of boards of so many trials that find it: errors and variances are drawn."""
    random = np.random.default_rng(0)
    df, error = 8.0 * (trials - 1) / 2, 0.01 * np.sqrt(3 / trials)
    means = random.normal(difference, error, 100_000)
    errors = error * np.sqrt(random.chisquare(df, 100_000) / df)
    return float((means / errors > t.ppf(1 - level / 2, df)).mean())


@pytest.mark.parametrize("level", [0.05, 0.05 / 120])
@pytest.mark.parametrize(("difference", "trials"), [(0.02, 3), (0.02, 7), (-0.04, 5), (0.0, 6)])
def test_the_chance_is_the_share_of_boards_that_find_it(difference: float, trials: int, level: float) -> None:
    expected = _found(abs(difference), trials, level)
    assert chance(difference, GAP, 3, trials, level) == pytest.approx(expected, abs=0.006)


@given(
    difference=st.floats(1e-4, 1),
    level=st.floats(1e-6, 0.05),
    error=st.floats(1e-4, 0.1),
    df=st.floats(1, 200),
    has=st.integers(2, 12),
)
def test_needed_is_the_first_number_of_trials_that_is_enough(
    difference: float, level: float, error: float, df: float, has: int
) -> None:
    gap = Estimate(0.0, 3 * has, error, df)
    trials = needed(difference, gap, has, level)
    if trials is None:
        assert chance(difference, gap, has, MOST, level) < POWER
    else:
        assert 2 <= trials <= MOST
        assert chance(difference, gap, has, trials, level) >= POWER
        assert trials == 2 or chance(difference, gap, has, trials - 1, level) < POWER


def test_the_smallest_difference_that_is_found_needs_the_trials_that_there_are() -> None:
    for level in (0.05, 0.05 / 120):
        least = smallest(GAP, level)
        assert chance(least, GAP, 3, 3, level) == pytest.approx(POWER, abs=1e-4)
        assert needed(1.001 * least, GAP, 3, level) == 3
        assert needed(0.99 * least, GAP, 3, level) == 4
    assert smallest(GAP, 0.05) < smallest(GAP, 0.001)


def test_no_difference_is_found_by_no_number_of_trials() -> None:
    assert needed(0.0, GAP, 3, 0.05) is None
    assert chance(0.0, GAP, 3, 50, 0.05) == pytest.approx(0.025, abs=1e-6)  # one side of the test
