"""Measures: by what number is a model judged on its target? One is a board's headline; the others are for looking.

Each is a function of the stored predictions of one target, with y_i the class of example i, p_i the predicted one and
c_i the confidence in it::

    accuracy      mean_i [p_i = y_i]
    macro         mean over the classes k that occur of a_k = mean_{i: y_i = k} [p_i = y_i]
    macro_f1      mean over the classes k that occur of 2 |{i: y_i = k = p_i}| / (|{i: y_i = k}| + |{i: p_i = k}|)
    worst_class   min_k a_k
    worst_group   min over the groups g of at least ten examples of a_g = mean_{i in g} [p_i = y_i]; of official groups,
                  over those that count and have an example
    adjusted      sum_g w_g a_g / sum_g w_g over official groups with weights w_g, each of which has an example
    familiar      mean of [p_i = y_i] over the images that pretraining knows well, where a list says which; unfamiliar:
                  over the others
    nll           mean_i -log P_i(y_i), in nats
    auc           the area under the ROC curve, of two classes (:mod:`dgbench.selection.auc`)
    ece           the calibration error (:mod:`dgbench.selection.calibration`)

Groups are those of the dataset: displays, families of typefaces, people. Where its authors judge by groups of their own
(``official.groups`` on the card: regions; a bird and its background), they are these, however small. Predicted values
have measures of their own: :mod:`dgbench.selection.value_measures`.

Of the sets of WILDS (P. W. Koh et al., "WILDS: A Benchmark of in-the-Wild Distribution Shifts", ICML 2021) and of
Waterbirds (S. Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020) these are the
official numbers: ``dataset.eval`` of the package ``wilds`` gives the same for iWildCam (``F1-macro_all``), FMoW
(``acc_worst_region``), Camelyon17 (``acc_avg``) and Waterbirds (``acc_wg``, ``adj_acc_avg``). One thing differs: in
``adj_acc_avg`` a group without an example counts as one that is always wrong; here nothing is known then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from dgbench.core.dataset_card import dataset_card, dataset_names
from dgbench.core.errors import UnknownNameError
from dgbench.core.judged_by import OfficialGroup
from dgbench.selection.auc import auc
from dgbench.selection.calibration import BINS, calibration_error
from dgbench.selection.familiar import Familiar
from dgbench.selection.measure import Measure
from dgbench.selection.predictions import AGAIN, STREAM, of_values, summarise
from dgbench.selection.records import CANDIDATE
from dgbench.selection.statistics import POSITIVE
from dgbench.selection.value_measures import OF_VALUES, VALUE_MEASURES, measure_values

LEAST = 10
"""Examples of a group that counts: the accuracy of fewer is chance."""


_NO_CHANCES = "{algorithm} predicted only classes on {target}, and no probabilities"

_NO_LIST = "no list says which images of {target} pretraining knows well"

MEASURES = {
    measure.name: measure
    for measure in (
        Measure("accuracy", "accuracy", "The share of images that are classified correctly."),
        Measure(
            "macro",
            "macro accuracy",
            "The mean over classes of the share of their images that are classified correctly: frequent classes count "
            "no more than rare ones.",
        ),
        Measure(
            "macro_f1",
            "macro F1",
            "The mean over classes of F1, the harmonic mean of the share of their images that are found and the share "
            "that is right of what is taken for them; classes without an image do not count.",
        ),
        Measure(
            "worst_class",
            "accuracy on the worst class",
            "The share of images that are classified correctly in the class where that is lowest.",
        ),
        Measure(
            "worst_group",
            "accuracy on the worst group",
            "The share of images that are classified correctly in the group where that is lowest. Groups are the "
            f"dataset's own, such as people or places; those of fewer than {LEAST} images do not count.",
            unknown=f"the images of {{target}} belong to no groups of at least {LEAST}",
        ),
        Measure(
            "adjusted",
            "adjusted accuracy",
            "The mean over the dataset's official groups of the share of their images that are classified correctly, "
            "each weighted by its images in the official training part.",
            unknown="{target} does not have images of all groups that the dataset's card gives a weight to",
            optional=True,
        ),
        Measure(
            "familiar",
            "familiar accuracy",
            "The share of images that are classified correctly, of those that some backbone's pretraining knows well; "
            "targets without any are left out.",
            unknown=_NO_LIST,
            optional=True,
        ),
        Measure(
            "unfamiliar",
            "unfamiliar accuracy",
            "The share of images that are classified correctly, of those that no list names as well known to some "
            "backbone's pretraining; targets without any are left out.",
            unknown=_NO_LIST,
            optional=True,
        ),
        Measure(
            "auc",
            "area under the curve",
            "Of two classes: how often an image of the second is given a higher probability of it than one of the "
            "first (AUC). Half is chance.",
            unknown="{target} has more than two classes, images of one alone, or no probabilities",
            optional=True,
        ),
        Measure(
            "nll",
            "negative log-likelihood",
            "The mean of minus the logarithm of the probability that was given to the true class, in nats: low where a "
            "model is right, and knows how sure it may be.",
            unknown=_NO_CHANCES,
            unit="nats",
            rises=False,
            within=POSITIVE,
        ),
        Measure(
            "ece",
            "calibration error",
            "How far confidence lies from the share that is right: the mean distance over "
            f"{BINS} equally wide bins of confidence, each weighted by its images (ECE).",
            unknown=_NO_CHANCES,
            rises=False,
        ),
        *VALUE_MEASURES,
    )
}

RULE = MEASURES["accuracy"]
"""What ranks a board, unless its rules or the cards of its datasets say another measure."""
RULE_OF_VALUES = MEASURES["rmse"]
"""The same where values are predicted."""
_OF_CLASSES = (
    "accuracy", "macro", "macro_f1", "worst_class", "worst_group", "adjusted", "familiar", "unfamiliar", "auc", "ece",
)  # fmt: skip
COMPUTED = (*_OF_CLASSES, *OF_VALUES)
"""Those that are computed from predictions. Records hold one of them, the board's headline, and ``nll``."""
EXAMPLE = ("label", "prediction", "confidence", "group")
"""What is read of each example, but for whether pretraining knows it well."""

OnTarget = Callable[[str, str], pl.DataFrame | None]
"""What an algorithm predicted of its target in a run, at every step: the rows of the split ``target`` of
:data:`dgbench.selection.predictions.PREDICTIONS`. None where its predictions are not at hand."""


def get(name: str) -> Measure:
    """The measure of that name; raises UnknownNameError when there is none."""
    if name not in MEASURES:
        raise UnknownNameError("metric", name, MEASURES)
    return MEASURES[name]


def measure(
    predictions: pl.DataFrame, by: Sequence[str], official: Sequence[OfficialGroup] = (), classes: int | None = None
) -> pl.DataFrame:
    """Judge predictions.

    Args:
        predictions: Some examples, with ``label``, ``prediction``, ``confidence`` (null or NaN: not known), ``group``;
            and ``familiar``, 1 where pretraining knows the image well, 0 where it does not, another number where
            nothing is said of its dataset; null where no list is given at all.
        by: The columns that tell targets, models and so on apart.
        official: The official groups on the dataset's card, whose places ``group`` holds then.
        classes: How many there are, where that is known: there is an area under the curve of two.

    Returns:
        One row for each value of ``by``, with the columns :data:`COMPUTED`; null where one is not known, as of values
        all that are of classes. ``familiar`` and ``unfamiliar`` are NaN where there is no such image.
    """
    if of_values(predictions):
        found = measure_values(predictions, by, official, LEAST)
        return found.with_columns(pl.lit(None, pl.Float64).alias(name) for name in _OF_CLASSES).select(*by, *COMPUTED)
    right = (pl.col("prediction") == pl.col("label")).cast(pl.Float64)
    recalls = predictions.group_by(*by, "label").agg(right.mean().alias("share"))
    shares = pl.col("share").sort_by("label").implode()  # in one order, so that a sum comes to the same bits
    taken = predictions.group_by(*by, pl.col("prediction").alias("label")).agg(pl.len().alias("taken"))
    f1 = (
        predictions.group_by(*by, "label")
        .agg(right.sum().alias("found"), pl.len().alias("size"))
        .join(taken, on=[*by, "label"], how="left")
        .with_columns(share=2 * pl.col("found") / (pl.col("size") + pl.col("taken").fill_null(0)))
        .group_by(by)
        .agg(shares.list.mean().alias("macro_f1"))
    )
    groups = (
        predictions.group_by(*by, "group")
        .agg(right.mean().alias("share"), pl.len().alias("size"))
        .group_by(by)
        .agg(
            pl.when(pl.col("group").is_not_null().all()).then(value).alias(name)
            for name, value in _over_groups(official)
        )
    )
    whole = predictions.group_by(by).agg(right.mean().alias("accuracy"))
    area = auc(predictions, by) if classes == 2 else whole.select(*by, pl.lit(None, pl.Float64).alias("auc"))
    listed = pl.col("familiar").is_not_null().all()
    lists = predictions.group_by(by).agg(
        pl.when(listed).then(right.filter(pl.col("familiar") == number).mean().fill_null(float("nan"))).alias(name)
        for name, number in (("familiar", 1), ("unfamiliar", 0))
    )
    return (
        recalls.group_by(by)
        .agg(shares.list.mean().alias("macro"), pl.col("share").min().alias("worst_class"))
        .join(whole, on=by)
        .join(f1, on=by)
        .join(lists, on=by)
        .join(groups, on=by)
        .join(area, on=by)
        .join(calibration_error(predictions, by), on=by)
        .with_columns(pl.lit(None, pl.Float64).alias(name) for name in OF_VALUES)
        .select(*by, *COMPUTED)
    )


def _over_groups(official: Sequence[OfficialGroup]) -> tuple[tuple[str, pl.Expr], ...]:
    """What follows from a row for each ``group``, with its ``share`` and ``size``."""
    share, group = pl.col("share"), pl.col("group")
    if not official:
        worst, adjusted = share.filter(pl.col("size") >= LEAST).min(), pl.lit(None, pl.Float64)
    else:
        weights = [each.weight or 0.0 for each in official]
        weight = group.replace_strict(dict(enumerate(weights)), default=None, return_dtype=pl.Float64)
        worst = share.filter(group.is_in([place for place, each in enumerate(official) if each.counts])).min()
        there = (pl.len() == len(official)) & (sum(weights) > 0)
        adjusted = pl.when(there).then((share * weight).sort_by(group).sum() / (sum(weights) or 1.0))
    return ("worst_group", worst), ("adjusted", adjusted)


def measured(cells: pl.DataFrame, on_target: OnTarget, known: Familiar | None = None) -> pl.DataFrame:
    """Judge the models that were chosen.

    Args:
        cells: Any rows with the columns :data:`~dgbench.selection.records.CANDIDATE`, ``dataset`` and ``run``; those
            that are there twice are judged once.
        on_target: Where their predictions come from.
        known: What pretraining knows well, if that is listed.

    Returns:
        One row for each candidate whose predictions are at hand: :data:`~dgbench.selection.records.CANDIDATE`, then
        :data:`COMPUTED`.
    """
    schema = pl.Schema({**{name: cells.schema[name] for name in CANDIDATE}, **dict.fromkeys(COMPUTED, pl.Float64())})
    found = [schema.to_frame()]
    wanted = cells.select(*CANDIDATE, "dataset", "run").unique(maintain_order=True)
    for (algorithm, dataset), own in wanted.group_by("algorithm", "dataset", maintain_order=True):
        tables, is_listed = [], listed(known, str(dataset)).alias("familiar")
        for run in own["run"].unique(maintain_order=True):
            predictions = on_target(str(algorithm), run)
            if predictions is not None:
                tables.append(predictions.select("step", *EXAMPLE, is_listed).with_columns(run=pl.lit(run)))
        if tables:
            examples = pl.concat(tables).with_columns(pl.col("step").cast(schema["step"]))
            chosen = own.select(*CANDIDATE, "run").join(examples, on=["run", "step"])
            about = official_groups(str(dataset)), class_count(str(dataset))
            found.append(measure(chosen, CANDIDATE, *about).select(*schema))
    return pl.concat(found)


def headline(measures: Mapping[str, str]) -> Measure:
    """What ranks a board, by the measure of each of its datasets."""
    names = set(measures.values())
    if len(names) == 1:
        return MEASURES[names.pop()]
    said = "; ".join(f"{dataset} by {MEASURES[name].title}" for dataset, name in measures.items())
    return Measure(
        "official",
        "official measure",
        f"Each dataset by the measure that its authors judge by: {said}. The mean over datasets is one of shares.",
    )


def of_streams(predictions: pl.DataFrame, by: Sequence[str], name: str, dataset: str) -> pl.DataFrame:
    """One measure of several streams, as records hold it: the columns ``by``, and ``headline``.

    Args:
        predictions: With ``label``, ``prediction`` and ``group``.
        by: The columns that tell streams apart.
        name: Of the measure.
        dataset: Whose official groups there may be.
    """
    unknown = predictions.with_columns(confidence=pl.lit(None, pl.Float32), familiar=pl.lit(None, pl.Int8))
    found = measure(unknown, by, official_groups(dataset))
    return found.select(*by, (pl.col(name) * MEASURES[name].turn).alias("headline"))


def summarised(predictions: pl.DataFrame, name: str, dataset: str) -> pl.DataFrame:
    """Every stream of a run as :func:`~dgbench.selection.predictions.summarise` has it, with its ``headline``.

    Args:
        predictions: Of the run.
        name: Of the measure that the dataset is judged by; by what runs note the headline is null.
        dataset: Its name.
    """
    found = summarise(predictions)
    if name in (RULE.name, RULE_OF_VALUES.name):
        return found.with_columns(headline=pl.lit(None, pl.Float64))
    streams = of_streams(predictions.filter(pl.col("split") != AGAIN), STREAM, name, dataset)
    return found.join(streams, on=STREAM, maintain_order="left")


def official_groups(dataset: str) -> tuple[OfficialGroup, ...]:
    """Those on the card of a dataset; none where it has no card."""
    return dataset_card(dataset).official.groups if dataset in dataset_names() else ()


def class_count(dataset: str) -> int | None:
    """How many classes a dataset has; None where it has no card."""
    return dataset_card(dataset).class_count if dataset in dataset_names() else None


def listed(known: Familiar | None, dataset: str) -> pl.Expr:
    """Of predictions on a dataset the column ``familiar``, as :func:`measure` takes it."""
    if known is None or not known.images:
        return pl.lit(None, pl.Int8)
    return known.images[dataset].cast(pl.Int8) if dataset in known.images else pl.lit(-1, pl.Int8)
