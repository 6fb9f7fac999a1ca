"""Criteria that look at the weights of candidates: runs of their own measure these while they are there.

With R the mean over source domains of the negative log-likelihood of held-out images, D the discrepancy of their
features (:mod:`dgbench.selection.indicators.discrepancy`), rise the rise of the loss near the weights
(:mod:`dgbench.runs.weighed`), and z a number in standard deviations from its mean over the candidates that are
compared::

    risk_discrepancy    -(z(R) + z(D))
    flatness            -rise

The first is the proposal of B. Lyu, T. Nguyen, M. Scheutz, P. Ishwar, S. Aeron, "A Principled Approach to Model
Validation in Domain Generalization", ICASSP 2023. Deviation: how the two are weighed against each other is left open
here by giving both the same spread, so that neither needs a unit. Where all candidates have the same discrepancy, as
heads on one frozen backbone have, the risk alone chooses.

Neither depends on how predictions are made but for R, which is that of the candidate's own predictor.
"""

from __future__ import annotations

import polars as pl

from dgbench.selection.criteria.criterion import Criterion, Need

_NEEDS: tuple[Need, ...] = ("held-out images", "weights")


def _standard(value: pl.Expr) -> pl.Expr:
    """In standard deviations from the mean over candidates; 0 where all are the same, no number where it is none."""
    known = value.filter(value.is_finite())
    spread = (value - known.mean()) / known.std(ddof=0)
    return pl.when(known.max() > known.min()).then(spread).otherwise(0 * value)


FLATNESS = Criterion(
    "flatness",
    "flatness",
    "Minus the rise of the loss on held-out clean images when the weights move a little in the direction in which it "
    "rises most: a model whose neighbours are as good rests less on details of its training images.",
    _NEEDS,
    indicator=pl.col("flatness"),
    lacking="its loss has no gradient in its weights, as where 'predict' computes without one; leave it out, or select "
    "by another criterion",
    classes=True,
)

RISK_DISCREPANCY = Criterion(
    "risk_discrepancy",
    "validation risk and discrepancy",
    "Minus the sum of the loss on held-out clean images and of the distance between the source domains' features, each "
    "in standard deviations over the candidates that are compared: a model should be right, and see what all domains "
    "share.",
    _NEEDS,
    value=pl.col("nll"),
    indicator=-(_standard(pl.col("score")) + _standard(pl.col("discrepancy"))),
    lacking="the run that looked at its weights found none",
    classes=True,
)
