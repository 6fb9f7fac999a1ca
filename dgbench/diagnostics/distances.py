"""Distances between points: by matrix products where that is exact enough, one by one where points nearly coincide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgbench.diagnostics.arrays import Points

_CANCELLED = 1e-5
"""A squared distance that is a smaller part of the squared norms than this has lost its digits."""
_AT_ONCE = 1000
"""Pairs that are subtracted at once, so that memory is bounded."""


def distances(first: Points, second: Points) -> NDArray[np.float64]:
    """Euclidean distances ``[n, m]``; those of equal points are exactly 0.

    Args:
        first: ``[n, d]``.
        second: ``[m, d]``.
    """
    middle = first.mean(0)
    one, other = (np.asarray(points - middle, dtype=np.float64) for points in (first, second))
    norms = np.add.outer(np.einsum("nd,nd->n", one, one), np.einsum("md,md->m", other, other))
    squared = norms - 2 * one @ other.T
    close = np.argwhere(squared <= _CANCELLED * norms)
    for rows, columns in (close[start : start + _AT_ONCE].T for start in range(0, len(close), _AT_ONCE)):
        apart = np.asarray(first[rows], dtype=np.float64) - second[columns]
        squared[rows, columns] = np.einsum("nd,nd->n", apart, apart)
    found: NDArray[np.float64] = np.sqrt(squared)
    return found
