"""How differently two domains are made up of classes: total variation, half of the sum of absolute differences."""

from __future__ import annotations

import numpy as np

from dgbench.diagnostics.arrays import Labels


def prior_distance(first: Labels, second: Labels) -> float:
    """Total variation between two frequencies of classes: 0 where they are equal, 1 where no class is in both.

    Args:
        first: Of one domain, ``[n]``.
        second: Of another, ``[m]``.
    """
    classes = int(max(first.max(), second.max())) + 1
    one, other = (np.bincount(labels, minlength=classes) / len(labels) for labels in (first, second))
    return float(np.abs(one - other).sum() / 2)
