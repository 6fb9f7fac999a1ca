"""Agreement: how often a model says of a target's image what others of its algorithm say.

Y. Jiang, V. Nagarajan, C. Baek, J. Z. Kolter, "Assessing Generalization of SGD via Disagreement", ICLR 2022: two
trainings of one algorithm differ on about as many new images as each gets wrong. With M candidates of one algorithm,
target and trial, and p_mi what candidate m predicts of image i::

    agreement of m = 1/n sum_i 1/(M - 1) sum_{k != m} [p_ki = p_mi]

in [0, 1]. Deviation: the others are further draws of hyperparameters and further checkpoints, since draws of seeds are
trials here; checkpoints of one training agree more than trainings do. Agreement on the line (C. Baek, Y. Jiang,
A. Raghunathan, J. Z. Kolter, NeurIPS 2022) maps source accuracy by one line for all candidates, so as a criterion it
would choose as source validation does.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


def agreement(predictions: pl.DataFrame, candidate: Sequence[str], example: Sequence[str]) -> pl.DataFrame:
    """How far candidates agree with all others.

    Args:
        predictions: What each predicted of each example: ``prediction``, and the columns below.
        candidate, example: The columns that tell candidates and examples apart.

    Returns:
        The columns of ``candidate``, and ``agreement``; null where there is no other candidate.
    """
    others = pl.len().over(example) - 1
    alike = pl.len().over(*example, "prediction") - 1
    shares = predictions.with_columns(agreement=pl.when(others > 0).then(alike / others))
    return shares.group_by(candidate).agg(pl.col("agreement").mean())
