"""Discrepancy: how far features of the source domains lie apart.

B. Lyu, T. Nguyen, M. Scheutz, P. Ishwar, S. Aeron, "A Principled Approach to Model Validation in Domain
Generalization", ICASSP 2023: features that are alike in all domains and a low risk exclude each other in general, so
validation should look at both. The distance is that of A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf, A. Smola, "A
Kernel Two-Sample Test", JMLR 2012. With x, x' of domain i and y, y' of domain j, no example compared with itself::

    k(a, b)     = exp(-||a - b||^2 / s)        s: the median of all squared distances
    MMD^2(i, j) = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)
    discrepancy = mean over pairs of domains of MMD^2(i, j)

below 2; around 0, and not biased, where all domains are alike. Features may be scaled, moved and rotated as one likes.
Deviations: the paper leaves the distance open; the bandwidth is the usual one, so that a network is not judged by the
size of its features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST = 2048
"""Examples of all domains together that are looked at, mostly: n^2 distances are taken."""


def discrepancy(features: Sequence[NDArray[np.floating]]) -> float:
    """The mean distance over pairs of domains; 0 where there is no pair, or where all features are the same.

    Args:
        features: Of each domain, ``[n, d]``. Of those with many rows the first count, the same number of each domain; a
            domain with a single one has no distance, and is left out.
    """
    share = max(2, MOST // max(len(features), 1))
    parts = [np.asarray(part[:share], np.float64) for part in features if len(part) > 1]
    if len(parts) < 2:
        return 0.0
    pooled = np.concatenate(parts)
    apart = _squared_distances(pooled)
    beside = apart[np.triu_indices(len(pooled), 1)]
    scale = float(np.median(beside)) or float(beside.mean())
    if not scale:
        return 0.0
    counts = np.array([len(part) for part in parts], np.float64)
    member = np.repeat(np.eye(len(parts)), counts.astype(np.int64), axis=1)
    sums = member @ np.exp(-apart / scale) @ member.T
    within = (sums.diagonal() - counts) / (counts * (counts - 1))
    between = (sums / np.outer(counts, counts))[np.triu_indices(len(parts), 1)]
    return float(2 * within.mean() - 2 * between.mean())


def _squared_distances(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[n, n]``; centred first, since small differences of large squares are lost; 0 of each to itself."""
    x = x - x.mean(0)
    squares = (x**2).sum(1)
    apart = np.clip(squares[:, None] + squares - 2 * x @ x.T, 0, None)
    np.fill_diagonal(apart, 0)
    return np.asarray(apart)
