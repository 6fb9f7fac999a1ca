"""How steeply labels change with images.

N. Konz, M. A. Mazurowski: The Effect of Intrinsic Dataset Properties on Generalization: Unraveling Learning Differences
Between Natural and Medical Images, ICLR 2024::

    K = max over pairs of [y_i differs from y_j] / ||x_i - x_j||

This is the paper's definition; the code that came with it takes pairs of the *same* class. Pixels in ``x`` lie in
[0, 1], and ``K`` grows with one over their scale, so that only images of one size and range compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgbench.diagnostics.arrays import Labels


@dataclass(frozen=True)
class Sharpness:
    """Label sharpness of a sample: a lower bound of that of all images.

    Attributes:
        value: ``K``; None where no two different images have different labels.
        contradictions: Pairs of equal images with different labels. They are left out: they would make it infinite.
    """

    value: float | None
    contradictions: int


def sharpness(apart: NDArray[np.float64], labels: Labels) -> Sharpness:
    """Over all pairs of a set.

    Args:
        apart: Distances between its images, ``[n, n]``.
        labels: ``[n]``.
    """
    both_ways = across(apart, labels, labels)
    return Sharpness(both_ways.value, both_ways.contradictions // 2)


def across(apart: NDArray[np.float64], labels: Labels, others: Labels) -> Sharpness:
    """Over all pairs of one of a set and one of another.

    Args:
        apart: Distances from images of the one to images of the other, ``[n, m]``.
        labels: ``[n]``.
        others: ``[m]``.
    """
    crossing = apart[labels[:, None] != others[None]]
    different = crossing[crossing > 0]
    return Sharpness(1 / float(different.min()) if len(different) else None, int(np.count_nonzero(crossing == 0)))
