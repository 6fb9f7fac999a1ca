"""Variances that few trials measure, each drawn towards what all of them have in common.

A variance over three trials may be wrong by a factor of ten, and a board has many of them, one for every pair of
algorithms. G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression in microarray
experiments", Statistical Applications in Genetics and Molecular Biology 3 (2004), takes the true variances for draws
from a scaled inverse chi-square distribution, which the measured ones tell:

    s^2 | sigma^2 ~ sigma^2 chi2(d) / d          measured, with d degrees of freedom
    1 / sigma^2   ~ chi2(d0) / (d0 s0^2)         the prior
    posterior       (d0 s0^2 + d s^2) / (d0 + d), with d0 + d degrees of freedom

The nearer the measured variances lie to each other, the larger is d0, and the more each of them is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

Vector = NDArray[np.float64]


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


def prior(variances: Vector, df: float) -> Prior:
    """The prior that measured variances come from, by mean and variance of their logarithms (Smyth, section 6.2).

    Args:
        variances: Two or more, above 0. They need not be independent.
        df: Degrees of freedom of each of them, above 0.
    """
    logs = np.log(variances) - digamma(df / 2) + math.log(df / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, df / 2))
    if excess <= 0:
        return Prior(math.exp(logs.mean()), math.inf)
    half = trigamma_inverse(excess)
    return Prior(math.exp(logs.mean() + digamma(half) - math.log(half)), 2 * half)


def trigamma_inverse(value: float) -> float:
    """The x above 0 at which the trigamma function has a value above 0, by Newton's steps on 1 / trigamma.

    That is convex, nearly straight, and above x - 1/2, so the steps only ever go down and are few (Smyth, appendix).
    """
    x = 0.5 + 1 / value
    while True:
        here = float(polygamma(1, x))
        step = here * (1 - here / value) / float(polygamma(2, x))
        x += step
        if -step < 1e-9 * x:
            return x
