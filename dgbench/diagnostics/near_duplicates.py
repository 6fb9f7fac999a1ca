"""Images of two domains that are nearly the same: those whose cosine is above .98.

A target whose images lie among the sources as well says little about domains that nobody has seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgbench.diagnostics.arrays import Points

ALIKE = 0.98
"""Cosine above which two images count as one."""


def near_duplicates(first: Points, second: Points, middle: Points) -> NDArray[np.int64]:
    """Pairs of rows, ``[pairs, 2]``, the most alike first.

    Args:
        first: Images or features of one domain, ``[n, d]``.
        second: Of another, ``[m, d]``.
        middle: The mean over all domains, ``[d]``, from which angles are seen: without it all images are alike
            that share a background, and all features that are positive.
    """
    cosine = _directions(first - middle) @ _directions(second - middle).T
    pairs = np.argwhere(cosine > ALIKE)
    found: NDArray[np.int64] = pairs[np.argsort(-cosine[tuple(pairs.T)], kind="stable")]
    return found


def _directions(points: Points) -> Points:
    """Of length one; a point that lies in the middle has no direction, and is like none."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    found: Points = np.divide(points, lengths, out=np.zeros_like(points), where=lengths > 0)
    return found
