"""Images or features as their leading principal components, each with a variance of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from dgbench.core.errors import DataError
from dgbench.diagnostics.arrays import Points

COMPONENTS = 64
_NOISE = 1e-9
"""A component with a smaller part of the first one's variance is made of rounding."""


def components(points: Points, seed: int) -> NDArray[np.float64]:
    """At most 64 of them, ``[n, c]``.

    Args:
        points: Of all domains together, ``[n, d]``.
        seed: For the randomised algorithm that many points are decomposed by.

    Raises:
        DataError: all points are the same.
    """
    if (points == points[0]).all():
        raise DataError("all images that were looked at are the same; there is nothing to diagnose")
    count = min(COMPONENTS, len(points) - 1, points.shape[1])
    fit = PCA(count, random_state=seed % 2**32)
    found: NDArray[np.float64] = np.asarray(fit.fit_transform(points), dtype=np.float64)
    variance = np.asarray(fit.explained_variance_, dtype=np.float64)
    real = variance > _NOISE * variance[0]
    whitened: NDArray[np.float64] = found[:, real] / np.sqrt(variance[real])
    return whitened
