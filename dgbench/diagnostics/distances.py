"""Distances between points: by matrix products where that is exact enough, one by one where points nearly coincide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgbench.diagnostics.arrays import Points

_LOST = 1e4
"""A squared distance that is fewer roundings of the squared norms than this has lost too many digits."""
_AT_ONCE = 1000
"""Pairs that are subtracted at once, so that memory is bounded."""


def distances(first: Points, second: Points) -> NDArray[np.float64]:
    """Euclidean distances ``[n, m]``, to three digits or more; those of equal points are exactly 0.

    Args:
        first: ``[n, d]``.
        second: ``[m, d]``.
    """
    middle = first.mean(0)
    one, other = first - middle, second - middle
    norms = np.add.outer(np.einsum("nd,nd->n", one, one), np.einsum("md,md->m", other, other))
    squared = (norms - 2 * one @ other.T).astype(np.float64)
    close = np.argwhere(squared <= _LOST * np.finfo(norms.dtype).eps * norms)
    for rows, columns in (close[start : start + _AT_ONCE].T for start in range(0, len(close), _AT_ONCE)):
        apart = np.asarray(first[rows], dtype=np.float64) - second[columns]
        squared[rows, columns] = np.einsum("nd,nd->n", apart, apart)
    found: NDArray[np.float64] = np.sqrt(squared)
    return found
