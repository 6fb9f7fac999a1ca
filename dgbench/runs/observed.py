"""What is noted when streams have been predicted: a row of ``predictions.parquet`` for each of their examples."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgbench.data.domain import Dataset, Domain
from dgbench.data.samples import Contents, pixel_contents, sample_names
from dgbench.data.splits import Rows
from dgbench.selection.predictions import PREDICTIONS, VALUES, scores_kept
from dgbench.train.evaluate import score
from dgbench.train.scale import Scale

Scores = Literal["logits", "probabilities", "values"]
"""What a predictor gives."""


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
    schema = PREDICTIONS if dataset.classes else VALUES
    return pl.DataFrame(columns, schema_overrides={name: schema[name] for name in columns})


def among(scores: Tensor, present: Tensor, kind: Scores) -> Tensor:
    """Scores ``[n, C]`` in which classes that are not ``present``, int64 ``[c]``, have no chance.

    Their logits fall out of every softmax. Of probabilities the rest is normalised by what notes them; where it is 0,
    all classes that are present are as likely.
    """
    likely, number = kind == "probabilities", torch.finfo(scores.dtype)
    left = torch.full_like(scores, 0.0 if likely else number.min / 4)
    present = present.to(scores.device)
    left[:, present] = scores[:, present].clamp(min=number.tiny if likely else number.min)
    return left


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
    step: int,
    shown: pl.DataFrame,
    scores: Tensor,
    kind: Scores,
    scale: Scale | None = None,
) -> pl.DataFrame:
    """What a candidate predicts, as one table.

    Args:
        step: The candidate's.
        shown: All that it was shown, stream after stream: ``split, domain, view`` and what :func:`examples` says.
        scores: What the predictor gave for each, ``[n, C]``.
        kind: What the scores are.
        scale: Of values, to give them in the unit of the data.
    """
    if kind == "values":
        assert scale is not None, "values are those of a dataset of values"
        return _observed_values(step, shown, scale.back(scores))
    labels = torch.from_numpy(shown["label"].to_numpy().astype(np.int64)).to(scores.device)
    scored = score(scores, labels, kind)
    prediction, clean = scored.prediction.numpy(), (shown["view"] == "clean").to_numpy()
    rows = np.flatnonzero(clean)
    judged = scores[torch.from_numpy(rows).to(scores.device)].float().cpu().numpy()
    places = pl.Series(np.cumsum(clean, dtype=np.uint32) - 1).set(pl.Series(~clean), None)  # among the clean ones
    kept = scores_kept(judged, prediction[rows], kind)
    found = {
        "step": pl.Series([step]).cast(PREDICTIONS["step"]).new_from_index(0, len(shown)),
        **{column.name: column for column in shown},
        "prediction": pl.Series(prediction.astype(np.int16)),
        "confidence": pl.Series(scored.confidence.float().numpy()),
        "p_label": pl.Series(scored.p_label.float().numpy()),
        **{column.name: column for column in kept.select(pl.all().gather(places))},
    }
    return pl.DataFrame([found[name].alias(name) for name in PREDICTIONS])


def _observed_values(step: int, shown: pl.DataFrame, predicted: NDArray[np.float64]) -> pl.DataFrame:
    """The same of values: nothing is known beside them."""
    found = shown.with_columns(
        pl.Series("step", [step]).cast(VALUES["step"]).new_from_index(0, len(shown)),
        pl.Series("prediction", predicted),
    )
    return found.select(
        pl.col(name) if name in found.columns else pl.lit(None, kind).alias(name) for name, kind in VALUES.items()
    )
