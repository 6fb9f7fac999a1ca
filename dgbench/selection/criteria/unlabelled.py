"""Criteria that look at images of the target without their labels: they stand in a table of their own.

Whoever deploys a model may have such images, and then knows more than domain generalisation asks for. The formulas are
in :mod:`dgbench.selection.indicators`, one method a file.
"""

from __future__ import annotations

import polars as pl

from dgbench.selection.criteria.criterion import Criterion, Need

_CHANCES: tuple[Need, ...] = ("held-out images", "predictions", "target images")
_SCORES: tuple[Need, ...] = (*_CHANCES, "every score")
_CLASSES = "only classes were predicted, and no probabilities"
_FIVE = "it takes the scores of all classes, which are kept where probabilities are known of at most a hundred classes"

CONFIDENCE = Criterion(
    "confidence",
    "average confidence",
    "Mean confidence on the target's images, after a temperature that makes it fit on held-out source images.",
    _SCORES,
    indicator=pl.col("confidence"),
    lacking=_FIVE,
    classes=True,
)

ATC = Criterion(
    "atc",
    "average thresholded confidence",
    "Share of the target's images whose prediction is more confident than a threshold: that below which lie as many "
    "held-out source images as are classified wrongly (ATC).",
    _CHANCES,
    indicator=pl.col("atc"),
    lacking=_CLASSES,
    classes=True,
)

DOC = Criterion(
    "doc",
    "difference of confidences",
    "Accuracy on held-out source images, less what mean confidence falls by from these to the target's images (DoC).",
    _CHANCES,
    indicator=pl.col("doc"),
    lacking=_CLASSES,
    classes=True,
)

AGREEMENT = Criterion(
    "agreement",
    "agreement",
    "Mean share of the other candidates of the same algorithm, target and trial that predict the same class of an "
    "image of the target.",
    ("predictions", "target images"),
    indicator=pl.col("agreement"),
    lacking="there is no other candidate to agree with",
    classes=True,
)

NUCLEAR_NORM = Criterion(
    "nuclear_norm",
    "nuclear norm",
    "Sum of the singular values of the probabilities of the target's images, as a share of the most that it can be: "
    "high where predictions are sure and spread over all classes.",
    ("predictions", "every score", "target images"),
    indicator=pl.col("nuclear_norm"),
    lacking=_FIVE,
    classes=True,
)
