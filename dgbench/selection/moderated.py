"""Variances that few trials measure, each drawn towards what all of them have in common.

A variance over three trials may be wrong by a factor of ten, and a board has many of them, one for every algorithm and
one for every pair. G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression in
microarray experiments", Statistical Applications in Genetics and Molecular Biology 3 (2004), takes the true variances
for draws from a scaled inverse chi-square distribution, which the measured ones tell:

    s^2 | sigma^2 ~ sigma^2 chi2(d) / d          measured, with d degrees of freedom
    1 / sigma^2   ~ chi2(d0) / (d0 s0^2)         the prior
    posterior       (d0 s0^2 + d s^2) / (d0 + d), with d0 + d degrees of freedom

The nearer the measured variances lie to each other, the larger is d0, and the more each of them is worth. Yet all of
them together cannot be worth more than what independent ones among them bring:

    s^2      = sum_c v_c                 of one mean, as :mod:`dgbench.selection.statistics` has it
    share_c  ~ sum over means of v_c / s       they sum to 1
    d        = 1 / sum_c share_c^2 / (n_c - 1)
    df       = min(d0 + d, W d / 2)      W: of how many independent variances they have the worth; never below d
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dgbench.selection.statistics import Estimate, Measured

Vector = NDArray[np.float64]
Variances = Literal["moderated", "own"]

TOGETHER = 4
"""From so many algorithms on variances are moderated together. Of three, what one has in common with two others is
worth less than what it costs to find out."""


@dataclass(frozen=True)
class Prior:
    """What true variances have in common: a scaled inverse chi-square distribution.

    Attributes:
        variance: Its scale, s0^2, above 0.
        df: Its degrees of freedom, d0, above 0; infinite where all true variances seem to be the same.
    """

    variance: float
    df: float

    def moderate(self, variances: Vector, df: float) -> Vector:
        """Measured variances of some degrees of freedom, each drawn towards the prior."""
        own = df / (self.df + df)
        return (1 - own) * self.variance + own * variances


def prior(variances: Vector, df: float, shared: float = 0.0) -> Prior:
    """The prior that measured variances come from, by mean and variance of their logarithms (Smyth, section 6.2).

    What is measured moves the logarithms down, and apart, by chance. Chance that all variances share moves none of them
    apart, and is not averaged out, so only the rest of it is corrected for.

    Args:
        variances: Two or more, above 0.
        df: Degrees of freedom of each of them, above 0.
        shared: How far they correlate, in [0, 1].
    """
    from scipy.special import digamma, polygamma

    logs = np.log(variances) - (1 - shared) * (digamma(df / 2) - math.log(df / 2))
    excess = float(logs.var(ddof=1) - (1 - shared) * polygamma(1, df / 2))
    if excess <= 0:
        return Prior(math.exp(logs.mean()), math.inf)
    half = trigamma_inverse(excess)
    return Prior(math.exp(logs.mean() + digamma(half) - math.log(half)), 2 * half)


def together(found: Measured, worth: float, shared: float = 0.0) -> list[Estimate]:
    """Estimates whose variances are drawn towards what they have in common.

    Means whose trials all gave the same stay what they are.

    Args:
        found: Of several means, in which chance can be measured.
        worth: Of how many independent variances theirs have the worth, W.
        shared: How far the variances correlate, in [0, 1].
    """
    assert found.variances is not None
    assert found.free is not None
    totals = found.variances.sum(axis=1)
    some = totals > 0
    df = degrees(found)
    common = prior(totals[some], df, shared)
    gained = min(common.df + df, max(worth / 2, 1.0) * df)
    moderate = np.where(some, common.moderate(totals, df), 0.0)
    return found.estimates(moderate, np.where(some, gained, found.free.sum()))


def degrees(found: Measured) -> float:
    """The degrees of freedom that each of several variances has by itself, d, by the clusters' shares of all of them.

    The shares of one are as badly known as its variance. A mean of each one's shares would lie too near to equal ones,
    for what is small in a sum is noise, too; a sum of variances would be that of the one that scatters most; the roots
    of their totals as weights lie between.

    Args:
        found: Of several means, in which chance can be measured; of some of them above 0.
    """
    assert found.variances is not None
    assert found.free is not None
    totals = found.variances.sum(axis=1)
    some = totals > 0
    parts = (found.variances[some] / np.sqrt(totals[some])[:, None]).sum(axis=0)
    return float(1 / ((parts / parts.sum()) ** 2 / found.free).sum())


def trigamma_inverse(value: float) -> float:
    """The x above 0 at which the trigamma function has a value above 0, by Newton's steps on 1 / trigamma.

    That is convex, nearly straight, and above x - 1/2, so the steps only ever go down and are few (Smyth, appendix).
    """
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    while True:
        here = float(polygamma(1, x))
        step = here * (1 - here / value) / float(polygamma(2, x))
        x += step
        if -step < 1e-9 * x:
            return x
