"""What is noted when a stream has been predicted: a row of ``predictions.parquet`` for each of its examples."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from torch import Tensor

from dgbench.data.domain import Dataset
from dgbench.data.samples import sample_names
from dgbench.data.splits import Rows
from dgbench.selection.predictions import PREDICTIONS, STREAM, scores_kept
from dgbench.train.evaluate import score


def examples(dataset: Dataset, domain: str, rows: Rows) -> pl.DataFrame:
    """Some rows of a domain, whatever predicts them: the columns ``index, sample, group, label``.

    Where no group has two examples, and none is in two domains, there are no groups.
    """
    held = dataset.domain(domain)
    grouped = dataset.shared_groups or len(np.unique(held.groups)) < len(held)
    columns = {
        "index": rows,
        "sample": sample_names(held, rows),
        "group": held.groups[rows] if grouped else [None] * len(rows),
        "label": held.labels[rows],
    }
    return pl.DataFrame(columns, schema_overrides={name: PREDICTIONS[name] for name in columns})


def observed(
    stream: tuple[int, str, str, str],
    shown: pl.DataFrame,
    scores: Tensor,
    labels: Tensor,
    kind: Literal["logits", "probabilities"],
) -> pl.DataFrame:
    """The table of one stream.

    Args:
        stream: Its step, split, domain and view.
        shown: What was predicted, as :func:`examples` says it.
        scores: What the predictor gave for each, ``[n, C]``.
        labels: Their classes, int64 ``[n]``, on the device of the scores.
        kind: What the scores are.
    """
    scored = score(scores, labels, kind)
    where = pl.DataFrame([stream], schema=STREAM, orient="row")
    table = where.join(shown, how="cross").with_columns(
        prediction=scored.prediction.numpy(),
        confidence=scored.confidence.float().numpy(),
        p_label=scored.p_label.float().numpy(),
    )
    if stream[-1] == "clean":
        table = table.hstack(scores_kept(scores.float().cpu().numpy(), scored.prediction.numpy(), kind))
    missing = [pl.lit(None).alias(name) for name in PREDICTIONS if name not in table.columns]
    return table.with_columns(missing).select(PREDICTIONS.names()).cast(PREDICTIONS)
