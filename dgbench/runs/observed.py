"""What is noted when a stream has been predicted: a row of ``predictions.parquet`` for each of its examples."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
import polars as pl
from torch import Tensor

from dgbench.data.domain import Dataset, Domain
from dgbench.data.samples import Contents, pixel_contents, sample_names
from dgbench.data.splits import Rows
from dgbench.selection.predictions import PREDICTIONS, STREAM, scores_kept
from dgbench.train.evaluate import score


def examples(dataset: Dataset, domain: str, rows: Rows) -> pl.DataFrame:
    """Some rows of a domain, whatever predicts them: the columns ``index, sample, group, label``.

    The group is the official one, by its place on the dataset's card, where there are such, else that of splits; where
    no group of these has two examples, and none is in two domains, there are no groups.
    """
    held = _named(dataset, domain)
    groups = held.groups if held.judged is None else held.judged
    grouped = held.judged is not None or dataset.shared_groups or len(np.unique(groups)) < len(held)
    columns = {
        "index": rows,
        "sample": sample_names(held, rows),
        "group": groups[rows] if grouped else [None] * len(rows),
        "label": held.labels[rows],
    }
    return pl.DataFrame(columns, schema_overrides={name: PREDICTIONS[name] for name in columns})


class _Of:
    """A domain, as what its pictures are."""

    def __init__(self, dataset: Dataset, domain: Domain) -> None:
        self.domain = domain
        self._key = (dataset.manifest, dataset.form, domain.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Of) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=32)
def _contents(of: _Of) -> Contents:
    return pixel_contents(of.domain)


def _named(dataset: Dataset, name: str) -> Domain:
    """A domain with what its examples are named by: pixels are hashed once in a process, not in every training."""
    domain = dataset.domain(name)
    return domain if domain.contents is not None else replace(domain, contents=_contents(_Of(dataset, domain)))


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
    prediction = scored.prediction.numpy()
    found = {
        "step": _repeated("step", stream[0], len(prediction)),
        **{name: _repeated(name, value, len(prediction)) for name, value in zip(STREAM[1:], stream[1:], strict=True)},
    }
    found |= {column.name: column for column in shown}
    for name, values in (
        ("prediction", prediction.astype(np.int16)),
        ("confidence", scored.confidence.float().numpy()),
        ("p_label", scored.p_label.float().numpy()),
    ):
        found[name] = pl.Series(name, values)
    if stream[-1] == "clean":
        found |= {column.name: column for column in scores_kept(scores.float().cpu().numpy(), prediction, kind)}
    missing = {name: _repeated(name, None, len(prediction)) for name in PREDICTIONS if name not in found}
    return pl.DataFrame([(found | missing)[name] for name in PREDICTIONS])


def _repeated(name: str, value: int | str | None, count: int) -> pl.Series:
    """A column with one value throughout; a run has hundreds of streams, and there is no quicker way to make one."""
    return pl.Series(name, [value], PREDICTIONS[name]).new_from_index(0, count)
