"""How many trials does a comparison need? From what the trials that there are have measured.

A paired difference has an error e with f degrees of freedom after K trials. More trials of the same kind would have

    e_n = e sqrt(K / n)        f_n = f (n - 1) / (K - 1)

and a true difference D is found at a level a, two-sided, with the probability that noncentral t exceeds its quantile:

    chance(n) = P(T > t_{1 - a/2}(f_n))        T: noncentral t with f_n degrees of freedom and noncentrality |D| / e_n

What is left out: e is measured, too, and moderated variances have part of their f from other pairs, which more trials
of two do not raise. Both are small where f is ten or more.
"""

from __future__ import annotations

import math
from functools import lru_cache

from dgbench.selection.statistics import Estimate

POWER = 0.8
"""Enough is a number of trials that finds a difference with this probability."""
MOST = 1_000
"""Of more trials nothing is said."""


def chance(difference: float, gap: Estimate, has: int, trials: int, level: float) -> float:
    """The probability that trials find a true difference.

    Args:
        difference: The true one.
        gap: What was measured; its error is above 0.
        has: In how many trials, two or more.
        trials: How many there would be, two or more.
        level: Of the test, two-sided.
    """
    assert gap.error
    assert gap.df is not None
    df = gap.df * (trials - 1) / (has - 1)
    noncentral = abs(difference) / (gap.error * math.sqrt(has / trials))
    if noncentral > 3 * _least(df, level) + 10:
        return 1.0  # far beyond what nctdtr can tell from it
    from scipy.special import nctdtr

    return 1.0 - float(nctdtr(df, noncentral, _least(df, level)))


def needed(difference: float, gap: Estimate, has: int, level: float) -> int | None:
    """The fewest trials that find a true difference with a probability of POWER; None where MOST do not.

    Args:
        difference, gap, has, level: As for :func:`chance`.
    """
    low, high = 1, MOST  # the chance grows with the trials
    if chance(difference, gap, has, MOST, level) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if chance(difference, gap, has, middle, level) >= POWER:
            high = middle
        else:
            low = middle
    return high


def smallest(gap: Estimate, level: float) -> float:
    """The smallest true difference that the trials that there are find with a probability of POWER.

    Args:
        gap: What they measured; its error is above 0.
        level: Of the test, two-sided.
    """
    assert gap.error
    assert gap.df is not None
    from scipy.special import nctdtrinc

    return gap.error * float(nctdtrinc(gap.df, 1 - POWER, _least(gap.df, level)))


@lru_cache(maxsize=1024)
def _least(df: float, level: float) -> float:
    """The t that is significant."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - level / 2))
