"""Indicators: numbers of candidates that are computed from single predictions, and from no label of the target.

``calibration`` reads source validation alone, the others also see images of the target without labels:
``confidence``, ``atc``, ``doc``, ``nuclear_norm`` and ``agreement`` have a file each. Validation images of all source
domains count together in those. Calibration is the mean over source domains d of the calibration error there
(Y. Wald, A. Feder, D. Greenfeld, U. Shalit, "On Calibration and Out-of-Domain Generalization", NeurIPS 2021: a model
that is calibrated in every domain rests on what is the same in all), over fifteen bins
(:mod:`dgbench.selection.calibration`), in [0, 1], low where confidence is what is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dgbench.selection.calibration import calibration_error
from dgbench.selection.indicators.agreement import agreement
from dgbench.selection.indicators.atc import atc
from dgbench.selection.indicators.confidence import Logits, average_confidence, temperature
from dgbench.selection.indicators.doc import doc
from dgbench.selection.indicators.nuclear_norm import nuclear_norm
from dgbench.selection.records import INDICATED

READ = ("step", "split", "domain", "index", "label", "prediction", "confidence", "logits")
"""What is read of clean predictions."""

_CANDIDATE = ("cell", "draw", "step")
_UNLABELLED = ("domain", "index", "prediction", "confidence", "logits")


def indicators(predictions: pl.DataFrame) -> pl.DataFrame:
    """The indicators of candidates.

    Args:
        predictions: What they predicted of clean images: the columns :data:`READ`, and ``cell`` and ``draw``, which
            with ``step`` tell candidates apart. Those of a cell are an algorithm's for one target and trial.

    Returns:
        One row for each candidate: ``cell, draw, step``, and :data:`~dgbench.selection.records.INDICATED`.
    """
    source = predictions.filter(split="validation").sort(_CANDIDATE)
    # from here on nobody sees a label of the target
    target = predictions.filter(split="target").select(*_CANDIDATE, *_UNLABELLED).sort(_CANDIDATE)
    errors = calibration_error(source, [*_CANDIDATE, "domain"]).group_by(_CANDIDATE)
    agreed = agreement(target, _CANDIDATE, ["cell", "domain", "index"])
    return (
        errors.agg(calibration=pl.col("ece").sort_by("domain").mean())
        .join(_estimated(source, target), on=_CANDIDATE, how="left")
        .join(agreed, on=_CANDIDATE, how="left")
        .select(*_CANDIDATE, *INDICATED)
        .sort(_CANDIDATE)
    )


def _estimated(source: pl.DataFrame, target: pl.DataFrame) -> pl.DataFrame:
    """Of each candidate what is estimated from its confidence, and from all scores where these are kept."""
    places = [
        table.group_by(_CANDIDATE, maintain_order=True)
        .agg(count=pl.len())
        .select(*_CANDIDATE, end=pl.col("count").cum_sum(), start=pl.col("count").cum_sum() - pl.col("count"))
        for table in (source, target)
    ]
    both = places[0].join(places[1], on=_CANDIDATE, suffix="_there")
    own, there = _Examples.of(source), _Examples.of(target)
    right = (source["prediction"] == source["label"]).to_numpy()
    labels = source["label"].to_numpy().astype(np.int64)
    found: dict[str, list[float | None]] = {
        name: [None] * both.height for name in INDICATED if name not in ("calibration", "agreement")
    }
    bounds = both.select("start", "end", "start_there", "end_there").iter_rows()
    for at, (first, last, start, end) in enumerate(bounds):
        chances, unseen = own.chances[first:last], there.chances[start:end]
        if np.isnan(chances).any() or np.isnan(unseen).any():
            continue
        found["atc"][at] = atc(chances, right[first:last], unseen)
        found["doc"][at] = doc(chances, right[first:last], unseen)
        scores, others = own.logits(first, last), there.logits(start, end)
        if scores is not None and others is not None:
            found["confidence"][at] = average_confidence(others, temperature(scores, labels[first:last]))
            found["nuclear_norm"][at] = nuclear_norm(others)
    return both.select(_CANDIDATE).hstack(pl.DataFrame(found, schema=dict.fromkeys(found, pl.Float64())))


@dataclass(frozen=True)
class _Examples:
    """Examples of many candidates as arrays: one of tables by candidate takes most of the time.

    Attributes:
        chances: Confidence in the prediction, NaN where it is not known.
        ends: Where the logits of each example begin in ``flat``, and where the last ones end.
        flat: All logits.
    """

    chances: NDArray[np.float64]
    ends: NDArray[np.int64]
    flat: NDArray[np.float16]

    @classmethod
    def of(cls, table: pl.DataFrame) -> _Examples:
        counts = table["logits"].list.len().fill_null(0).to_numpy().astype(np.int64)
        return cls(
            table["confidence"].to_numpy().astype(np.float64),
            np.concatenate([[0], counts.cumsum()]),
            table["logits"].drop_nulls().explode().to_numpy(),
        )

    def logits(self, first: int, last: int) -> Logits | None:
        """Of some examples, ``[n, C]``; None where they are not kept of all classes."""
        ends = self.ends[first : last + 1]
        classes = np.diff(ends)
        if not classes.all():
            return None
        return self.flat[ends[0] : ends[-1]].reshape(len(classes), -1).astype(np.float64)
