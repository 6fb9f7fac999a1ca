"""The area under the ROC curve: how well a model tells two classes apart, wherever the line between them is drawn.

J. A. Hanley, B. J. McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve",
Radiology 1982. With s_i the probability that is given to class 1, n_k examples of class k, and R the sum of the ranks
of s among all examples over those of class 1, equal ones sharing their mean rank::

    auc = mean over pairs (i of class 1, j of class 0) of [s_i > s_j] + [s_i = s_j] / 2
        = (R - n_1 (n_1 + 1) / 2) / (n_1 n_0)

in [0, 1]; 1/2 where s says nothing of the class. H. Shah, K. Tamuly, A. Raghunathan, P. Jain, P. Netrapalli, "The
Pitfalls of Simplicity Bias in Neural Networks", NeurIPS 2020, tell by it what a model relies on: where a block of the
input is another example's, and so says nothing, it falls to 1/2 if the model uses that block alone, and stays if the
model uses others. Probabilities are kept in single precision, so those that round to 1 are equal.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


def auc(predictions: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The area of predictions of two classes.

    Args:
        predictions: Some examples, with ``label`` and ``prediction``, 0 or 1, and ``confidence`` (null or NaN: not
            known).
        by: The columns that tell targets, models and so on apart.

    Returns:
        One row for each value of ``by``, with ``auc``; null where a confidence is not known, or a class has no example.
    """
    sure = pl.col("confidence").cast(pl.Float64)
    score = pl.when(pl.col("prediction") == 1).then(sure).otherwise(-sure)  # as 1 - sure is ordered, without rounding
    first = pl.col("label") == 1
    count, ones = pl.len().cast(pl.Float64), first.sum().cast(pl.Float64)
    area = (score.rank().filter(first).sum() - ones * (ones + 1) / 2) / (ones * (count - ones))
    known = sure.is_not_null().all() & sure.is_not_nan().all() & (ones > 0) & (ones < count)
    return predictions.group_by(by).agg(pl.when(known).then(area).alias("auc"))
