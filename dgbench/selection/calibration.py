"""The calibration error: how far confidence lies from the share that is right.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017. With y_i the class
of example i, p_i the predicted one and c_i the confidence in it::

    ece = sum_b |sum_{i in b} ([p_i = y_i] - c_i)| / n, over fifteen bins b = ((j - 1) / 15, j / 15] of c

in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

BINS = 15
"""Of confidence, equally wide."""


def calibration_error(predictions: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The calibration error of predictions.

    Args:
        predictions: Some examples, with ``label``, ``prediction`` and ``confidence`` (null or NaN: not known).
        by: The columns that tell targets, models and so on apart.

    Returns:
        One row for each value of ``by``, with ``ece``; null where a confidence is not known.
    """
    right = (pl.col("prediction") == pl.col("label")).cast(pl.Float64)
    sure = pl.col("confidence").cast(pl.Float64).fill_null(float("nan"))  # a sum over nulls would be 0
    number = (sure * BINS).ceil().clip(1, BINS).cast(pl.Int8, strict=False)
    bins = predictions.group_by(*by, number.alias("bin")).agg((right - sure).sum().abs().alias("off"), pl.len())
    gaps = pl.col("off").sort_by("bin")
    return bins.group_by(by).agg((gaps.sum() / pl.col("len").sum()).fill_nan(None).alias("ece"))
