"""How good is a criterion? Every trained model by what criteria say of it, and by what it reaches on the target.

The target's labels are read here, after every score is given: this judges criteria and chooses nothing.

On one target in one trial, a *set*, there are models of several algorithms, each of some draws of hyperparameters at
some steps. Three choices are made in each set, as N. Efthymiadis, G. Tolias, O. Chum, "Crafting Distribution Shifts for
Validation and Training in Single Source Domain Generalization" (WACV 2025) tell tuning from the choice of a method:

    hyperparameters   among the models of each algorithm; the mean over algorithms
    method            among the algorithms, each by the model that the reference criterion chooses of it
    both              among all models

Over the models m of a choice, with scores s(m) and accuracies a(m) on the target::

    picked = a(argmax s(m))    best = max a(m)    regret = best - picked    hit: whether a of the pick is the best

A score that is not a number, or that a model lacks, lies below every number. Where several models have the largest
score, one of them is drawn at random, first a draw of hyperparameters, then an algorithm, then a step; what is counted
is the expectation. So no criterion owes anything to the order of draws. (Boards, which must choose, take the earliest
step and then the lowest draw.)

A small search sees k of the n draws, at random, the same of all algorithms; where the method is chosen, k of the n
algorithms. Let a draw be worth the best score in it, and let i draws be worth more than it, j draws at least as much.
It is chosen with the probability::

    [C(n - i, k) - C(n - j, k)] / [C(n, k) (j - i)]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import kendalltau

from dgbench.core.errors import DGBenchError
from dgbench.selection.criteria import Criterion, best, scores
from dgbench.selection.records import CANDIDATE, CELL, Indicators, none_at_hand

Matrix = NDArray[np.float64]
Choice = Literal["hyperparameters", "method", "both"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
Correlation = Literal["spearman_within", "kendall_within", "spearman_across", "kendall_across"]
CORRELATIONS: tuple[Correlation, ...] = get_args(Correlation)

REFERENCE = "source"
"""What the other criteria are compared with, and what algorithms are tuned by where only the method is chosen."""
SET = ("target", "trial")
"""Models that are compared: those of all algorithms."""
_FEW = 300
"""Up to so many models every pair of them is looked at, where rank correlations are asked for."""


def scored(
    metrics: pl.DataFrame, runs: pl.DataFrame, criteria: Iterable[Criterion], indicators: Indicators = none_at_hand
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Every model by every criterion.

    A shift family that any model of a set trained with is held out for all of them, so that scores compare.

    Args:
        metrics, runs, indicators: As for :func:`dgbench.selection.criteria.scores`.
        criteria: By what.

    Returns:
        One row for each candidate, ``algorithm, target, trial, draw, step``, its ``accuracy`` on the target, and a
        column for each criterion by name; and why a criterion has none, by its name.
    """
    models = metrics.filter(pl.col("split") == "target").select(*CANDIDATE, "accuracy")
    refusals = {}
    for criterion in criteria:
        try:
            found = scores(metrics, runs, criterion, SET, indicators)
        except DGBenchError as error:
            refusals[criterion.name] = str(error)
        else:
            own = found.select(*CANDIDATE, pl.col("score").alias(criterion.name))
            models = models.join(own, on=CANDIDATE, how="left")
    return models.sort(CANDIDATE), refusals


def offered(models: pl.DataFrame, choice: Choice) -> pl.DataFrame:
    """The models that are chosen among: all, or of each algorithm the one that a board takes by the reference."""
    if choice != "method":
        return models
    ranked = models.filter(pl.col(REFERENCE).is_not_null()).with_columns(score=REFERENCE)
    return models.join(best(ranked).select(CANDIDATE), on=CANDIDATE, how="semi")


def chosen(models: pl.DataFrame, criterion: str, choice: Choice) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What a criterion's choice comes to in each set.

    Args:
        models: Those that are chosen among (:func:`offered`).
        criterion: The column of its scores; ``accuracy`` chooses the best.
        choice: What is chosen.

    Returns:
        One row for each set: ``target, trial, picked, hit``, all in [0, 1]. And one for each set and size of a search,
        up to as many draws, or algorithms, as there are everywhere: ``target, trial, size, picked``.
    """
    group = CELL if choice == "hyperparameters" else SET
    unit = "algorithm" if choice == "method" else "draw"
    accuracy = pl.col("accuracy")
    ready = models.with_columns(_numbers(criterion), hit=(accuracy == accuracy.max().over(group)).cast(pl.Float64))
    units = _top(_top(ready, (*CELL, "draw")), (*group, unit)).sort(*group, unit)
    rows = []
    for part in units.group_by(group, maintain_order=True).agg("score", "accuracy", "hit").iter_rows(named=True):
        chances = chances_of(np.array(part["score"]))
        picked, hit = (chances @ np.array(part[name]) for name in ("accuracy", "hit"))
        place = [part[name] for name in SET]
        rows += [(*place, size, size == len(hit), picked[size - 1], hit[size - 1]) for size in range(1, len(hit) + 1)]
    kinds = {"target": pl.String, "trial": pl.Int64, "size": pl.Int64, "whole": pl.Boolean}
    found = pl.DataFrame(rows, kinds | {"picked": pl.Float64, "hit": pl.Float64}, orient="row")
    whole = found.filter("whole")
    searches = found.filter(pl.col("size") <= whole["size"].min()).group_by(*SET, "size").agg(pl.col("picked").mean())
    return whole.group_by(SET).agg(pl.col("picked", "hit").mean()).sort(SET), searches.sort(*SET, "size")


def _top(models: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The best score in each group, and the mean of those who have it."""
    score = pl.col("score")
    best_of = models.filter(score == score.max().over(by))
    return best_of.group_by(by).agg(score.first(), pl.col("accuracy", "hit").mean())


def chances_of(worth: Matrix) -> Matrix:
    """With what probability each of n draws is chosen by a search of k of them.

    Args:
        worth: (n,), what each is worth.

    Returns:
        (n, n): a row for each k from 1 to n, which sums to 1.
    """
    above = (worth[:, None] < worth).sum(axis=1)
    down_to = (worth[:, None] <= worth).sum(axis=1)
    without = _without(len(worth))
    return np.asarray((without[:, above] - without[:, down_to]) / (down_to - above))


@cache
def _without(n: int) -> Matrix:
    """(n, n + 1): of a random subset of k = 1 ... n of n draws, the probability that it has none of the first i."""
    k, first = np.arange(1, n + 1)[:, None], np.arange(n)
    return np.hstack([np.ones((n, 1)), np.cumprod(np.clip(n - k - first, 0, None) / (n - first), axis=1)])


def correlations(models: pl.DataFrame, criterion: str) -> pl.DataFrame:
    """Rank correlations of a criterion's scores with accuracies on the target.

    Args:
        models: As :func:`scored` gives them.
        criterion: The column of its scores.

    Returns:
        One row for each set, ``target, trial``: Spearman's correlation and Kendall's tau-b over all models (``across``)
        and over those of each algorithm, as a mean over algorithms (``within``). 0 where all scores are the same; null
        where all accuracies are.
    """
    ready = models.with_columns(_numbers(criterion))
    within = _correlated(ready, CELL).group_by(SET).agg(pl.col("spearman", "kendall").mean().name.suffix("_within"))
    across = _correlated(ready, SET).rename(lambda name: name if name in SET else f"{name}_across")
    return across.join(within, on=SET).select(*SET, *CORRELATIONS).sort(SET)


def _correlated(models: pl.DataFrame, group: Sequence[str]) -> pl.DataFrame:
    """Both correlations in each group; rounded, since that of a sum must not exceed 1."""
    score, accuracy = pl.col("score"), pl.col("accuracy")
    parts = models.group_by(group, maintain_order=True).agg(
        "score",
        "accuracy",
        differs=accuracy.n_unique() > 1,
        discerns=score.n_unique() > 1,
        spearman=pl.corr(score.rank(), accuracy.rank()),
    )
    ranked = parts.select("score", "accuracy", pl.col("differs") & pl.col("discerns")).iter_rows()
    tau = [_tau(np.array(scores), np.array(reached)) if told else None for scores, reached, told in ranked]
    known = pl.when("differs").then(pl.when("discerns").then(pl.col("spearman", "kendall").round(12)).otherwise(0.0))
    return parts.with_columns(kendall=pl.Series(tau, dtype=pl.Float64)).select(*group, known)


def _tau(one: Matrix, other: Matrix) -> float:
    """Kendall's tau-b of two columns, (n,), neither of which is constant.

    Of few models, which most groups have, a look at every pair takes a twentieth of what scipy makes beside.
    """
    if len(one) > _FEW:
        return float(kendalltau(one, other).statistic)
    a, b = ((column[:, None] > column).astype(np.int8) - (column[:, None] < column) for column in (one, other))
    return float((a * b).sum() / math.sqrt(np.count_nonzero(a) * np.count_nonzero(b)))


def _numbers(criterion: str) -> pl.Expr:
    """Its scores, in which what is no number lies below every number."""
    return pl.col(criterion).fill_nan(None).fill_null(float("-inf")).alias("score")
