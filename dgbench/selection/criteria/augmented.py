r"""Criteria by held-out images of the source domains under shifts.

N. Efthymiadis, G. Tolias, O. Chum, "Crafting Distribution Shifts for Validation and Training in Single Source Domain
Generalization", WACV 2025. With F the shift families, D the source domains, a_df the accuracy on validation images of
d, each changed by one shift of family f::

    augmented            1/|D| sum_d 1/|F| sum_f a_df
    augmented_worst      min_f 1/|D| sum_d a_df
    augmented_logit      1/|D| sum_d 1/|F| sum_f log(b_df / (1 - b_df)),  b_df = a_df, at least half an image from 0, 1
    augmented_no_edges   as the first, F without edges

Families that training used are held out of these. The paper cross-validates instead: with the two folds A1 and A2 of F
(``dgbench.core.shift_families``), T the families that a model trained with, and a_df(T \ A) that of a model which
differs from it in having trained with those of T outside A alone::

    kfold                1/|D| sum_d 1/|F| ( sum_{f in A1} a_df(T \ A1) + sum_{f in A2} a_df(T \ A2) )

What is chosen is the model that trained with all of T, and the score is that of the models without a fold, step by
step. Where T has no family of a fold, the model judges itself there; so without training augmentation nothing is added,
and kfold is augmented validation. It costs one further training for each fold that T has a family of, which is two for
each training where T is all families: three times the time. A board does them only where it selects by kfold.

Deviations: there is a mean over several source domains; the paper rounds the accuracy of each family to four decimals,
and takes the middle one of tied learning rates. The other variants are ours. Where images have edges drawn, those of a
family that is so unlike photographs may judge little but the love of shapes, so it can be left out.
"""

from __future__ import annotations

import polars as pl

from dgbench.selection.criteria.criterion import CLEAN, UNSEEN, Criterion, Need

_NEEDS: tuple[Need, ...] = ("held-out images", "shifted images")
_HALF = 0.5 / pl.col("n")
_INSIDE = pl.col("accuracy").clip(_HALF, 1 - _HALF)

AUGMENTED = Criterion(
    "augmented",
    "augmented validation (strict)",
    "Mean over source domains and shift families of the accuracy on held-out images changed by a strong shift: blur, "
    "weather, colour and so on. Families that training used are held out.",
    _NEEDS,
    keep=UNSEEN,
)

AUGMENTED_ALL = Criterion(
    "augmented_all",
    "augmented validation (all families)",
    "Augmented validation over every family. Where training used one of them the score is contaminated: the model is "
    "examined on what it was taught.",
    _NEEDS,
    keep=~CLEAN,
)

AUGMENTED_WORST = Criterion(
    "augmented_worst",
    "augmented validation, worst family (strict)",
    "Accuracy, as a mean over source domains, on held-out images under the shift family where it is lowest. Families "
    "that training used are held out.",
    _NEEDS,
    keep=UNSEEN,
    least="view",
)

AUGMENTED_LOGIT = Criterion(
    "augmented_logit",
    "augmented validation, logits (strict)",
    "Mean over source domains and shift families of the logarithm of right to wrong, in place of the share that is "
    "right: a step near 100 % counts as much as one that halves the errors elsewhere, so easy families still speak. "
    "None and all count as half an image. Families that training used are held out.",
    _NEEDS,
    keep=UNSEEN,
    value=(_INSIDE / (1 - _INSIDE)).log(),
    classes=True,
)

KFOLD = Criterion(
    "kfold",
    "augmented validation (cross-validated)",
    "Augmented validation over every family, in which a family that training used is judged by a further model: one "
    "that was trained alike, but without the fold of families that this one is in.",
    ("held-out images", "shifted images", "fold trainings"),
    keep=~CLEAN,
)

AUGMENTED_NO_EDGES = Criterion(
    "augmented_no_edges",
    "augmented validation without edges (strict)",
    "Augmented validation over the families that training did not use, but for drawn edges, which little but outlines "
    "is left in.",
    _NEEDS,
    keep=UNSEEN & (pl.col("view") != "edges"),
)
