"""Measures of predicted values: how far off are they, and do they go along with the truth?

With y_i the value of example i and p_i the predicted one, of the examples of one target::

    rmse                  sqrt(mean_i (p_i - y_i)^2), in the unit of the values
    pearson               sum_i (p_i - mean p)(y_i - mean y) / sqrt(sum_i (p_i - mean p)^2 sum_i (y_i - mean y)^2)
    worst_group_rmse      max over groups of rmse of their examples; worst_group_pearson: min over groups of pearson

Groups are those of :mod:`dgbench.selection.measures`: of at least ten examples, or official ones that count. Where all
predictions, or all values, are the same, they do not go along with anything, and pearson is 0.

``dataset.eval`` of the package ``wilds`` gives the same for PovertyMap (P. W. Koh et al., "WILDS: A Benchmark of
in-the-Wild Distribution Shifts", ICML 2021), which is judged by Pearson's r in the worse of two groups, towns and
countryside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dgbench.core.judged_by import OfficialGroup
from dgbench.selection.measure import Measure
from dgbench.selection.statistics import POSITIVE, Range

Values = NDArray[np.float64]

_NO_GROUPS = "the images of {target} belong to no groups of at least 10"
_CORRELATED = Range(-1.0, 1.0)

VALUE_MEASURES = (
    Measure(
        "rmse",
        "root-mean-square error",
        "The root of the mean squared distance of predicted from true values, in their unit.",
        unit="value",
        rises=False,
        within=POSITIVE,
        of="values",
    ),
    Measure(
        "worst_group_rmse",
        "root-mean-square error on the worst group",
        "The root-mean-square error in the group where that is largest. Groups are the dataset's own, such as people "
        "or places; those of fewer than 10 images do not count.",
        unknown=_NO_GROUPS,
        unit="value",
        rises=False,
        within=POSITIVE,
        of="values",
    ),
    Measure(
        "pearson",
        "Pearson's r",
        "The correlation of predicted with true values: 1 where they lie on a rising line, 0 where they do not go "
        "along with each other.",
        unit="",
        within=_CORRELATED,
        of="values",
        decimals=3,
    ),
    Measure(
        "worst_group_pearson",
        "Pearson's r on the worst group",
        "The correlation of predicted with true values in the group where that is lowest; groups of fewer than 10 "
        "images do not count.",
        unknown=_NO_GROUPS,
        unit="",
        within=_CORRELATED,
        of="values",
        decimals=3,
    ),
)

OF_VALUES = tuple(measure.name for measure in VALUE_MEASURES)
"""Those that are computed from predictions of values."""


def rmse(predicted: Values, true: Values) -> float:
    """Root-mean-square error."""
    return float(np.sqrt(np.mean((predicted - true) ** 2)))


def pearson(predicted: Values, true: Values) -> float:
    """Pearson's correlation; 0 where either does not vary."""
    one, other = predicted - predicted.mean(), true - true.mean()
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return min(1.0, max(-1.0, float((one * other).sum()) / scale)) if scale > 0 else 0.0


def measure_values(
    predictions: pl.DataFrame, by: Sequence[str], official: Sequence[OfficialGroup], least: int
) -> pl.DataFrame:
    """Judge predictions of values.

    Args:
        predictions: Some examples, with ``label``, ``prediction`` and ``group``.
        by: The columns that tell targets, models and so on apart.
        official: The official groups on the dataset's card, whose places ``group`` holds then.
        least: Examples of a group that counts, where it is none of these.

    Returns:
        One row for each value of ``by``, with the columns :data:`OF_VALUES`; null where one is not known.
    """
    parts = predictions.group_by(by, maintain_order=True).agg("label", "prediction", "group")
    rows = []
    for part in parts.select("label", "prediction", "group").iter_rows(named=True):
        true, predicted = np.array(part["label"], float), np.array(part["prediction"], float)
        groups = _groups(part["group"], official, least)
        errors, correlations = (
            [measured(predicted[rows], true[rows]) for rows in groups] for measured in (rmse, pearson)
        )
        rows.append(
            {
                "rmse": rmse(predicted, true),
                "worst_group_rmse": max(errors, default=None),
                "pearson": pearson(predicted, true),
                "worst_group_pearson": min(correlations, default=None),
            }
        )
    return parts.select(by).hstack(pl.DataFrame(rows, dict.fromkeys(OF_VALUES, pl.Float64())))


def _groups(named: list[int | None], official: Sequence[OfficialGroup], least: int) -> list[NDArray[np.int64]]:
    """The rows of each group that counts; none where an example is in no group."""
    if None in named:
        return []
    groups = np.array(named, np.int64)
    numbers, sizes = np.unique(groups, return_counts=True)
    if official:
        counted = {place for place, group in enumerate(official) if group.counts}
    else:
        counted = set(numbers[sizes >= least].tolist())
    return [np.flatnonzero(groups == number) for number in numbers.tolist() if number in counted]
