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

from dgbench.diagnostics.arrays import Labels, Points
from dgbench.diagnostics.distances import distances


@dataclass(frozen=True)
class Sharpness:
    """Label sharpness of a sample: a lower bound of that of all images.

    Attributes:
        value: ``K``; None where no two different images have different labels.
        contradictions: Pairs of equal images with different labels. They are left out: they would make it infinite.
    """

    value: float | None
    contradictions: int


def sharpness(points: Points, labels: Labels) -> Sharpness:
    """Over all pairs of a set.

    Args:
        points: ``[n, d]``.
        labels: ``[n]``.
    """
    both_ways = across(points, labels, points, labels)
    return Sharpness(both_ways.value, both_ways.contradictions // 2)


def across(points: Points, labels: Labels, others: Points, their_labels: Labels) -> Sharpness:
    """Over all pairs of one of a set and one of another.

    Args:
        points: ``[n, d]``.
        labels: ``[n]``.
        others: ``[m, d]``.
        their_labels: ``[m]``.
    """
    apart = distances(points, others)[labels[:, None] != their_labels[None]]
    different = apart[apart > 0]
    return Sharpness(1 / float(different.min()) if len(different) else None, int(np.count_nonzero(apart == 0)))
