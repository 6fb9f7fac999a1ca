"""How sure is the mean of each of many algorithms? Every one by variances that they lend each other.

With two trials the variance of one algorithm's mean has a degree of freedom for each cluster, and its interval may be
ten times as wide as what the algorithms of a board have in common says. So the variances of four algorithms or more are
*moderated* (:mod:`dgbench.selection.moderated`). But algorithms share the splits and batches of a trial, so their means
move together, and then there is less to lend: where two means correlate by r, their variances do so by r^2, and

    W   = A / (1 + (A - 1) r^2)          independent variances have a mean as good as that of A; r^2: mean over pairs
    r^2 = 1 - (1 - R^2) (d + 1) / d      R: measured, over all trials of all clusters; at least 0

Means that have nothing to do with each other have an R^2 of 1 / d by chance. The formula takes nearly all of that away,
and errs to the side of more in common. Where all algorithms move as one, W is 1, and nobody gains.
``docs/statistics.md`` shows how often the intervals err.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from dgbench.selection.moderated import TOGETHER, Variances, degrees, together
from dgbench.selection.statistics import (
    ANY,
    Estimate,
    Matrix,
    Measured,
    Range,
    Values,
    largest_in,
    matrix_of,
    measured,
)


def means(
    scores: Mapping[str, Values],
    weights: Sequence[float] | None = None,
    clusters: Sequence[Hashable] | None = None,
    within: Range = ANY,
    variances: Variances = "moderated",
) -> dict[str, Estimate]:
    """The mean of each algorithm over targets and trials. Algorithms with the same values are one, and count once.

    Args:
        scores: The values of each algorithm, over the same targets and trials for all.
        weights, clusters: Of the targets, as in :func:`dgbench.selection.statistics.estimate`.
        within: What values there can be.
        variances: ``moderated``: those of ``TOGETHER`` algorithms or more are drawn towards what they have in common;
            ``own``: each mean has the variance of its own trials, as ``estimate`` has it.

    Raises:
        ValueError: targets or trials differ, or as in ``estimate``.
    """
    if not scores:
        return {}
    matrices = {name: matrix_of(values) for name, values in scores.items()}
    distinct = {matrix.tobytes(): matrix for matrix in matrices.values()}
    batch = list(distinct.values())
    if any(not np.array_equal(np.isnan(matrix), np.isnan(batch[0])) for matrix in batch):
        raise ValueError("means are moderated together over the same targets and trials")
    scales = np.array([largest_in(matrix) for matrix in batch])
    found = measured(np.stack(batch), scales, weights, clusters, within)
    known = dict(zip(distinct, _together(found) if variances == "moderated" else found.alone(), strict=True))
    return {name: known[matrix.tobytes()] for name, matrix in matrices.items()}


def _together(found: Measured) -> list[Estimate]:
    """Estimates of means whose variances are drawn towards what they have in common.

    One degree of freedom cannot tell how far means correlate: there each has its own.
    """
    if found.scatter is None:
        return found.alone()
    rows = found.scatter.reshape(len(found.scatter), -1)
    rows = rows[rows.any(axis=1)]
    if len(rows) < TOGETHER or (df := degrees(found)) <= 1:
        return found.alone()
    shared = max(1 - (1 - _squared_correlation(rows)) * (df + 1) / df, 0.0)
    return together(found, len(rows) / (1 + (len(rows) - 1) * shared), shared)


def _squared_correlation(rows: Matrix) -> float:
    """The mean of the squares of the correlations of every two rows, none of them zero."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    count = len(unit)
    return float((((unit @ unit.T) ** 2).sum() - count) / (count * (count - 1)))
