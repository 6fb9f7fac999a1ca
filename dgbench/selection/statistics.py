"""How sure is a mean, and which algorithms can the data tell apart?

The target domains of a board are fixed: they are the question, not a sample of possible domains. Chance enters
through the trials (splits, initial weights, batches), so trials are repeated within each target. Values therefore
come in *strata*: one sequence of values, one for each trial, for each target.

    mean     = 1/T sum_t m_t                          m_t, s_t: mean and standard deviation (ddof 1) within target t
    variance = 1/T^2 sum_t s_t^2 / n_t
    df       = (sum_t v_t)^2 / sum_t v_t^2 / (n_t - 1)    with v_t = s_t^2 / n_t (Welch and Satterthwaite)

With weights w_t that sum to 1 in place of 1/T (boards of several datasets weigh targets so that each dataset counts
once), the mean is sum_t w_t m_t and v_t = w_t^2 s_t^2 / n_t. One stratum gives the ordinary t-interval. Paired
comparisons are the same thing on differences. Trials of different targets are taken as independent.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
"""Coverage of every interval; the ranks of a board hold jointly at the same level."""

Strata = Sequence[Sequence[float]]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Estimate:
    """A mean and what is known about its error.

    Attributes:
        mean: Mean of the strata's means.
        n: How many values there are.
        error: Standard error of the mean, or None when some stratum has fewer than two values.
        df: Degrees of freedom of the error.
    """

    mean: float
    n: int
    error: float | None = None
    df: float | None = None

    @property
    def margin(self) -> float | None:
        """Half the width of the t-interval."""
        if self.error is None or self.df is None:
            return None
        return float(stdtrit(self.df, (1 + LEVEL) / 2)) * self.error

    @property
    def low(self) -> float | None:
        """Lower end of the t-interval."""
        return None if self.margin is None else self.mean - self.margin

    @property
    def high(self) -> float | None:
        """Upper end of the t-interval."""
        return None if self.margin is None else self.mean + self.margin

    @property
    def p(self) -> float | None:
        """Two-sided p-value of the hypothesis that the true mean is zero."""
        if self.error is None or self.df is None:
            return None
        if self.error == 0:
            return 1.0 if self.mean == 0 else None  # equal differences, by chance or by rounding: no measure of chance
        return 2 * float(stdtr(self.df, -abs(self.mean) / self.error))


def estimate(strata: Strata, weights: Sequence[float] | None = None) -> Estimate:
    """The mean over strata of their means, with its standard error.

    Args:
        strata: At least one value in each.
        weights: Of the strata, scaled to sum to 1; equal ones by default.

    Raises:
        ValueError: there is no stratum, or one without values.
    """
    values = [np.asarray(stratum, dtype=float) for stratum in strata]
    if not values or any(len(v) == 0 for v in values):
        raise ValueError("an estimate needs at least one value in each stratum")
    shares = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    if len(shares) != len(values) or not (shares > 0).all():
        raise ValueError("each stratum needs one weight above 0")
    shares = shares / shares.sum()
    mean = float(np.dot(shares, [v.mean() for v in values]))
    n = sum(len(v) for v in values)
    if any(len(v) < 2 for v in values):
        return Estimate(mean, n)
    variances = shares**2 * np.array([v.var(ddof=1) / len(v) for v in values])
    total = variances.sum()
    if total == 0:
        return Estimate(mean, n, 0.0, float(n - len(values)))
    # shares, not variances: their squares cannot underflow
    df = 1 / sum((part**2 / (len(v) - 1) for part, v in zip(variances / total, values, strict=True)), 0.0)
    return Estimate(mean, n, math.sqrt(total), float(df))


def difference(first: Strata, second: Strata, weights: Sequence[float] | None = None) -> Estimate:
    """The mean of ``first - second``, paired value by value: the same target, the same trial."""
    return estimate([[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(first, second, strict=True)], weights)


def ranks(scores: Mapping[str, Strata], weights: Sequence[float] | None = None) -> dict[str, int]:
    """Rank algorithms as far as the data can separate them: one more than the number of those shown to be better.

    Every pair is compared by its paired difference, and Holm's procedure over all pairs decides which of them differ.
    So algorithms share ranks: rank 1 is the group of all whom nobody is shown to beat, whatever their means, and with
    a single trial everyone has rank 1. With a confidence of LEVEL, no algorithm at all has a rank that is worse than
    its true one: it is the lower end of a confidence interval for the rank (M. Mogstad, J. P. Romano, A. M. Shaikh,
    D. Wilhelm, "Inference for Ranks with Applications to Mobility across Neighbourhoods and Academic Achievement across
    Countries", Review of Economic Studies 2024).

    The correction runs over all pairs, and not only over those with the best mean, because the best mean was picked
    by the same data: with the smaller family, twenty equal algorithms were torn apart in up to 18 % of simulated
    boards.

    Args:
        scores: The strata of each algorithm, over the same targets and trials for all.
        weights: Of the strata, as in :func:`estimate`.
    """
    pairs = {(a, b): difference(scores[a], scores[b], weights) for a, b in itertools.combinations(scores, 2)}
    differ = holm({pair: d.p for pair, d in pairs.items() if d.p is not None})
    beaten = Counter(b if pairs[a, b].mean > 0 else a for a, b in differ)
    return {name: 1 + beaten[name] for name in scores}


def holm(p_values: Mapping[Key, float], level: float = 1 - LEVEL) -> set[Key]:
    """The hypotheses that Holm's step-down procedure rejects, at a family-wise error of ``level``."""
    rejected: set[Key] = set()
    for key in sorted(p_values, key=lambda k: p_values[k]):
        if p_values[key] > level / (len(p_values) - len(rejected)):
            break
        rejected.add(key)
    return rejected
