"""Criteria by clean held-out images of the source domains."""

from __future__ import annotations

import polars as pl

from dgbench.selection.criteria.criterion import Criterion

SOURCE = Criterion(
    "source",
    "source validation",
    "Mean over source domains of the accuracy on held-out clean images. It needs nothing beyond the training domains, "
    "and it saturates: models that differ on a new domain look alike.",
)

SOURCE_NLL = Criterion(
    "source_nll",
    "source validation, likelihood",
    "Mean over source domains of the log-likelihood of held-out clean images: like source validation, but it still "
    "tells models apart when nearly every image is classified correctly.",
    value=-pl.col("nll"),
    classes=True,
)

SOURCE_WORST = Criterion(
    "source_worst",
    "source validation, worst domain",
    "Accuracy on held-out clean images of the source domain where it is lowest.",
    least="domain",
)

CALIBRATION = Criterion(
    "calibration",
    "calibration across domains",
    "Minus the mean over source domains of the calibration error on held-out clean images: how far confidence lies "
    "from the share that is right. A model that is calibrated on every domain rests on what is the same in all.",
    ("held-out images", "predictions"),
    indicator=-pl.col("calibration"),
    lacking="only classes were predicted, and no probabilities",
    classes=True,
)
