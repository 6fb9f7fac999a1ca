"""How sure is a mean, and which algorithms can the data tell apart?

The target domains of a board are fixed: they are the question, not a sample of possible domains. Chance enters
through the trials (splits, initial weights, batches), so trials are repeated. But one training may serve several
targets, and what it serves moves together: fifteen corruptions of one test set see the same network. So targets that
are served by the same trainings form a *cluster*, within a trial they are averaged first, and only what is left is
independent: one value for each trial, in each cluster. Clusters are the strata.

    x_tk     = value of target t in trial k,  w_t = its weight; the weights sum to 1
    y_ck     = sum_{t in c} w_t x_tk                  what cluster c adds to the mean in trial k
    mean     = sum_c mean_k y_ck
    v_c      = s_c^2 / n_c                            s_c: standard deviation (ddof 1) of the n_c values y_ck
    variance = sum_c v_c
    df       = (sum_c v_c)^2 / sum_c v_c^2 / (n_c - 1)    (Welch and Satterthwaite)

Where each target has trainings of its own, each is a cluster. One cluster gives the ordinary t-interval. Weights differ
on boards of several datasets, where each dataset counts once. Trials of different clusters are taken as independent.

A paired difference is the same thing on differences. Of many algorithms each variance can do better than by itself:
:mod:`dgbench.selection.means`, and :mod:`dgbench.selection.pairs`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Coverage of every interval; the ranks of a board hold jointly at the same level."""

RESOLUTION = 1e-10
"""Values that differ by less, as a share of the largest, are equal. It lies far above the rounding of sums and means of
accuracies, and far below one picture in a million."""

Values = Sequence[Sequence[float]]
"""One sequence for each target: its values by trial. Within a cluster trials stand in one order, and NaN marks a trial
that a target has not."""
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """What values a quantity can take. Its interval never leaves them.

    Attributes:
        low, high: The least and the greatest. An interval is cut there: what it loses could not have been true.
        fisher: Whether the interval is taken on Fisher's scale, artanh, where a correlation errs alike everywhere.
    """

    low: float = -math.inf
    high: float = math.inf
    fisher: bool = False


ANY = Range()
SHARE = Range(0.0, 1.0)
DIFFERENCE = Range(-1.0, 1.0)
"""Of two shares."""
POSITIVE = Range(0.0)
CORRELATION = Range(-1.0, 1.0, fisher=True)


@dataclass(frozen=True, repr=False)
class Estimate:
    """A mean and what is known about its error.

    Attributes:
        mean: Mean over targets of their means.
        n: How many independent values there are: one for each cluster and trial.
        error: Standard error of the mean. None where chance cannot be measured: some cluster has fewer than two
            trials, or its trials do not cover the same targets. 0 where all trials gave the same.
        df: Degrees of freedom of the error.
        within: What values there can be.
    """

    mean: float
    n: int
    error: float | None = None
    df: float | None = None
    within: Range = ANY

    @cached_property
    def margin(self) -> float | None:
        """Half the width of the t-interval, uncut; None, too, where trials that all gave the same measure no chance."""
        if not self.error or self.df is None:
            return None
        from scipy.special import stdtrit  # as all of scipy here: a look at what is remembered does without

        return float(stdtrit(self.df, (1 + LEVEL) / 2)) * self.error

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the t-interval, within what values there can be; None where there is none."""
        if self.margin is None:
            return None
        if self.within.fisher:
            # the delta method: artanh'(r) = 1 / (1 - r^2); a mean of 1 has an error of 0, and no interval
            middle, half = math.atanh(self.mean), self.margin / (1 - self.mean**2)
            return math.tanh(middle - half), math.tanh(middle + half)
        return max(self.mean - self.margin, self.within.low), min(self.mean + self.margin, self.within.high)

    @property
    def even(self) -> bool:
        """Whether the mean lies in the middle of its interval, so that ± says it all."""
        return self.margin is not None and self.interval == (self.mean - self.margin, self.mean + self.margin)

    @property
    def low(self) -> float | None:
        """Lower end of the interval."""
        return None if self.interval is None else self.interval[0]

    @property
    def high(self) -> float | None:
        """Upper end of the interval."""
        return None if self.interval is None else self.interval[1]

    @property
    def p(self) -> float | None:
        """Two-sided p-value of the hypothesis that the true mean is zero; None where chance cannot be measured."""
        if self.error is None or self.df is None:
            return None
        if self.error == 0:
            return 1.0 if self.mean == 0 else None
        from scipy.special import stdtr

        return 2 * float(stdtr(self.df, -abs(self.mean) / self.error))

    def __repr__(self) -> str:
        ends = "" if self.interval is None else f", {LEVEL:.0%} interval {self.low:.4f} to {self.high:.4f}"
        return f"<{self.mean:.4f}{ends}, n {self.n}>"

    def __neg__(self) -> Estimate:
        """The same the other way round: of ``b - a`` where this is of ``a - b``."""
        turned = Range(-self.within.high, -self.within.low, self.within.fisher)
        return Estimate(0.0 - self.mean, self.n, self.error, self.df, turned)  # never -0.0


def estimate(
    values: Values, weights: Sequence[float] | None = None, clusters: Sequence[Hashable] | None = None
) -> Estimate:
    """The mean over targets of their means over trials, with its standard error.

    Args:
        values: At least one number for each target.
        weights: Of the targets, scaled to sum to 1; equal ones by default.
        clusters: For each target a label, the same for those that the same trainings serve; by default each target
            has its own.

    Raises:
        ValueError: there is no target, or one without values, or weights or clusters do not fit.
    """
    matrix = matrix_of(values)
    return _estimate(matrix, largest_in(matrix), weights, clusters)


def difference(
    first: Values,
    second: Values,
    weights: Sequence[float] | None = None,
    clusters: Sequence[Hashable] | None = None,
) -> Estimate:
    """The mean of ``first - second``, paired value by value: the same target, the same trial."""
    if list(map(len, first)) != list(map(len, second)):
        raise ValueError("a paired difference needs the same targets and trials on both sides")
    one, other = matrix_of(first), matrix_of(second)
    # What rounding does to a difference depends on the numbers that were subtracted.
    return _estimate(one - other, max(largest_in(one), largest_in(other)), weights, clusters)


def matrix_of(values: Values) -> Matrix:
    """Targets by trials, NaN where there is nothing."""
    matrix = np.full((len(values), max(map(len, values), default=0)), np.nan)
    for row, given in zip(matrix, values, strict=True):
        row[: len(given)] = given
    return matrix


def largest_in(matrix: Matrix) -> float:
    """The largest value by size, which says what is rounding; 0 where there is none."""
    return float(np.abs(matrix[~np.isnan(matrix)]).max(initial=0.0))


def _estimate(
    matrix: Matrix, scale: float, weights: Sequence[float] | None, clusters: Sequence[Hashable] | None
) -> Estimate:
    return measured(matrix[None], np.array([scale]), weights, clusters).alone()[0]


@dataclass(frozen=True)
class Measured:
    """Means of many matrices that are NaN in the same places, and how far chance can be measured in them.

    Attributes:
        means: (matrices,).
        n: How many independent values each has.
        within: What values there can be.
        scatter: (matrices, clusters, trials), by how much each trial lies off the mean, scaled so that the squares of
            all trials sum to the variance of the mean; None where chance cannot be measured.
        free: (clusters,), the degrees of freedom of each cluster.
    """

    means: Matrix
    n: int
    within: Range
    scatter: Matrix | None = None
    free: Matrix | None = None

    @cached_property
    def variances(self) -> Matrix | None:
        """(matrices, clusters), what each cluster adds to the variance of the mean."""
        return None if self.scatter is None else np.asarray((self.scatter**2).sum(axis=2))

    def alone(self) -> list[Estimate]:
        """Each estimate from its own trials alone."""
        if self.variances is None or self.free is None:
            return self.estimates(None, None)
        totals = self.variances.sum(axis=1)
        # shares of the total, not variances: their squares cannot underflow
        shares = self.variances / np.where(totals > 0, totals, 1.0)[:, None]
        dfs = np.where(totals > 0, 1 / np.maximum((shares**2 / self.free).sum(axis=1), 1e-300), self.free.sum())
        return self.estimates(totals, dfs)

    def estimates(self, variances: Matrix | None, dfs: Matrix | None) -> list[Estimate]:
        """Estimates with these variances of the means and their degrees of freedom; with neither where it is None."""
        if variances is None or dfs is None:
            return [Estimate(mean, self.n, within=self.within) for mean in self.means.tolist()]
        known = zip(self.means.tolist(), np.sqrt(variances).tolist(), dfs.tolist(), strict=True)
        return [Estimate(mean, self.n, error, df, self.within) for mean, error, df in known]


def measured(
    batch: Matrix,
    scales: Matrix,
    weights: Sequence[float] | None,
    clusters: Sequence[Hashable] | None,
    within: Range = ANY,
) -> Measured:
    """What is known of many matrices at once, targets by trials, that are NaN in the same places.

    Args:
        batch: (matrices, targets, trials).
        scales: The largest value behind each matrix: what lies far below it is rounding.
        weights, clusters: Of the targets, as in :func:`estimate`.
        within: What values there can be.
    """
    there = ~np.isnan(batch[0])
    if not there.any(axis=1).all() or not there.size:
        raise ValueError("an estimate needs at least one value for each target")
    shares = np.ones(len(there)) if weights is None else np.asarray(weights, dtype=float)
    if len(shares) != len(there) or not (shares > 0).all():
        raise ValueError("each target needs one weight above 0")
    shares = shares / shares.sum()
    values = np.where(there, batch, 0.0)
    means = (values.sum(axis=2) / there.sum(axis=1)) @ shares
    means[np.abs(means) <= RESOLUTION * scales] = 0.0

    member = _members(len(there), clusters)
    covered = member @ there
    whole = covered == member.sum(axis=1, keepdims=True)
    n, trials = int((covered > 0).sum()), whole.sum(axis=1)
    if (whole != (covered > 0)).any() or (trials < 2).any():
        return Measured(means, n, within)
    sums = member @ (shares[:, None] * values)
    deviations = np.where(whole, sums - sums.sum(axis=2, keepdims=True) / trials[:, None], 0.0)
    floors = RESOLUTION * scales[:, None] * (member @ shares)
    deviations[np.abs(deviations).max(axis=2) <= floors] = 0.0
    return Measured(means, n, within, deviations / np.sqrt(trials * (trials - 1))[:, None], trials - 1.0)


def _members(targets: int, clusters: Sequence[Hashable] | None) -> Matrix:
    """Which target (column) belongs to which cluster (row)."""
    if clusters is None:
        return np.eye(targets)
    if len(clusters) != targets:
        raise ValueError("each target needs one cluster")
    rows = {cluster: row for row, cluster in enumerate(dict.fromkeys(clusters))}
    member = np.zeros((len(rows), targets))
    member[[rows[cluster] for cluster in clusters], np.arange(targets)] = 1.0
    return member


def mcnemar(first: int, second: int) -> float:
    """Exact two-sided p-value of McNemar's test: does each of two models get as many right that the other misses?

    It is about these two models. It takes the examples as drawn at random from a population, one independent of the
    other, so it is no test over several targets, nor over trials that show the same examples again.

    Args:
        first, second: How many examples the first model alone, and the second alone, got right.
    """
    if first == second:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(first, second), first + second, 0.5)))
