"""Criteria: by what number is one of several trained models chosen? Higher is better, for each of them.

A criterion is a choice of records; the formula is the same for all: the mean over domains of the mean over views.
So a criterion is a name, an explanation and a filter. Unless it says ``uses_target``, the rows of the target domain
are taken away before its filter runs: it cannot read them, even by mistake.

``augmented`` is after N. Efthymiadis, G. Tolias, O. Chum, "Crafting Distribution Shifts for Validation and Training
in Single Source Domain Generalization", WACV 2025. With F the shift families, D the source domains::

    V_A = 1/|D| sum_d 1/|F| sum_f accuracy on validation images of d, each changed by one shift of family f

Deviations: there is a mean over several source domains, and families that training used are held out instead of
cross-validated. ``oracle`` keeps DomainBed's rule (I. Gulrajani, D. Lopez-Paz, "In Search of Lost Domain
Generalization", ICLR 2021): one query of the target for each run, at its last step; but on the whole target, where
DomainBed keeps a fifth of it for the choice. So it is no bound: an honest choice of an earlier step may lie above it.
``ceiling`` is the bound, the best of all candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from dgbench.core.errors import RecipeError, StoreError, UnknownNameError
from dgbench.selection.records import CANDIDATE, CELL, check

_STREAM = ("split", "domain", "view", "accuracy", "nll")
"""What a criterion reads of each stream."""
_CLEAN = pl.col("view") == "clean"


@dataclass(frozen=True)
class Criterion:
    """A way to choose a model.

    Attributes:
        name: As boards name it.
        title: As readers see it.
        description: In plain words.
        keep: The records that count: an expression over ``split``, ``domain``, ``view``, ``accuracy``, ``nll``, the
            columns of a candidate, and ``trained``, the list of shift families that any of the candidates trained with.
        value: What is averaged, one number for each record; higher is better.
        uses_target: Whether it reads the labels of the target domain. Such a criterion never ranks.
    """

    name: str
    title: str
    description: str
    keep: pl.Expr = field(compare=False)
    value: pl.Expr = field(compare=False, default_factory=lambda: pl.col("accuracy"))
    uses_target: bool = False


CRITERIA = {
    criterion.name: criterion
    for criterion in (
        Criterion(
            "source",
            "source validation",
            "Mean over source domains of the accuracy on held-out clean images. It needs nothing beyond the training "
            "domains, and it saturates: models that differ on a new domain look alike.",
            keep=_CLEAN,
        ),
        Criterion(
            "source_nll",
            "source validation, likelihood",
            "Mean over source domains of the log-likelihood of held-out clean images: like source validation, but it "
            "still tells models apart when nearly every image is classified correctly.",
            keep=_CLEAN,
            value=-pl.col("nll"),
        ),
        Criterion(
            "augmented",
            "augmented validation (strict)",
            "Mean over source domains and shift families of the accuracy on held-out images changed by a strong "
            "shift: blur, weather, colour and so on. Families that training used are held out.",
            keep=~_CLEAN & ~pl.col("trained").list.contains(pl.col("view")),
        ),
        Criterion(
            "augmented_all",
            "augmented validation (all families)",
            "Augmented validation over every family. Where training used one of them the score is contaminated: the "
            "model is examined on what it was taught.",
            keep=~_CLEAN,
        ),
        Criterion(
            "ceiling",
            "ceiling",
            "Accuracy on the target domain itself, of every candidate: what no selection can exceed. It uses the "
            "labels that nobody has when a model is deployed, so it stands apart and never ranks.",
            keep=_CLEAN,
            uses_target=True,
        ),
        Criterion(
            "oracle",
            "oracle",
            "Accuracy on the target domain itself, at the last step of each run, as DomainBed chooses. It uses the "
            "labels that nobody has when a model is deployed, so it stands apart and never ranks.",
            keep=_CLEAN & (pl.col("step") == pl.col("step").max().over(*CELL, "draw")),
            uses_target=True,
        ),
    )
}


def get(name: str) -> Criterion:
    """The criterion of that name; raises UnknownNameError when there is none."""
    if name not in CRITERIA:
        raise UnknownNameError("criterion", name, CRITERIA)
    return CRITERIA[name]


def ranking(name: str, board: str) -> Criterion:
    """The criterion of that name, if it may rank.

    Raises:
        UnknownNameError: there is no such criterion.
        RecipeError: it reads target labels.
    """
    criterion = get(name)
    if criterion.uses_target:
        honest = ", ".join(other for other, c in CRITERIA.items() if not c.uses_target)
        raise RecipeError(
            f"'{board}' would select by '{name}', which reads target labels and may not rank; choose one of {honest}"
        )
    return criterion


def scores(
    metrics: pl.DataFrame, runs: pl.DataFrame, criterion: Criterion, within: Sequence[str] = CELL
) -> pl.DataFrame:
    """Score every candidate.

    Args:
        metrics: Records as :data:`dgbench.selection.records.METRICS`.
        runs: Records as :data:`dgbench.selection.records.RUNS`; both were seen by
            :func:`dgbench.selection.records.check`, which looks at them once for all criteria.
        criterion: What to score by.
        within: The columns that delimit a set of candidates. Candidates of one set are scored on the same views, so
            a family that one of them trained with is held out for all of them.

    Returns:
        One row for each candidate: ``algorithm, target, trial, draw, step, run, score, views``. Scores are rounded
        to 12 decimals, so that the order in which a sum was taken breaks no tie.

    Raises:
        StoreError: candidates of one set were not evaluated on the same streams, or the criterion needs likelihoods
            that are not known.
        RecipeError: training used every family that the criterion could have held out.
    """
    split = "target" if criterion.uses_target else "validation"
    trained = runs.group_by(within).agg(pl.col("families").list.explode().drop_nulls().unique().sort().alias("trained"))
    streams = metrics.filter(pl.col("split") == split).select(*CANDIDATE, "run", *_STREAM)
    visible = streams.join(trained, on=list(within))
    rows = visible.filter(criterion.keep)
    full = rows.group_by(within).agg(
        pl.struct("domain", "view").n_unique().alias("full"), pl.col("view").unique().sort().alias("views")
    )
    lost = visible.join(full, on=list(within), how="anti")
    if lost.height:
        _refuse(criterion, lost)

    unknown = rows.filter(pl.col("nll").is_nan() & pl.col("accuracy").is_not_nan()).sort(CELL)
    if unknown.height and "nll" in criterion.value.meta.root_names():
        raise StoreError(
            f"'{criterion.name}' scores by likelihoods, and of '{unknown['algorithm'][0]}' (target "
            f"{unknown['target'][0]}) they are not known: only classes were predicted"
        )
    scored = (
        rows.group_by(*CANDIDATE, "run", "domain")
        .agg(criterion.value.mean().alias("score"), pl.len())
        .group_by(*CANDIDATE, "run")
        .agg(pl.col("score").mean().round(12), pl.col("len").sum())
        .join(full, on=list(within))
    )
    uneven = scored.filter(pl.col("len") != pl.col("full")).sort(CANDIDATE)
    if uneven.height:
        raise StoreError(
            f"'{criterion.name}' cannot compare candidates that were evaluated on different streams: run "
            f"{uneven['run'][0]} has {uneven['len'][0]} of {uneven['full'][0]}; evaluate it again"
        )
    return scored.select(*CANDIDATE, "run", "score", "views").sort(CANDIDATE)


def choose(metrics: pl.DataFrame, runs: pl.DataFrame, criterion: Criterion) -> pl.DataFrame:
    """Choose a draw and a step for each (algorithm, target, trial), as :func:`best`.

    Args:
        metrics, runs, criterion: As for :func:`scores`, but that the records are checked here.

    Raises:
        StoreError: the records are faulty; else as :func:`scores`.
        RecipeError: as :func:`scores`.
    """
    check(metrics, runs)
    return best(scores(metrics, runs, criterion))


def best(scored: pl.DataFrame) -> pl.DataFrame:
    """The draw and the step that score best, for each (algorithm, target, trial): the first as :func:`ordered`.

    Args:
        scored: Candidates, as :func:`scores` gives them.

    Returns:
        One row for each cell: ``algorithm, target, trial, draw, step, run, score, views``.
    """
    return ordered(scored).group_by(CELL, maintain_order=True).first().sort(CELL)


def ordered(scored: pl.DataFrame) -> pl.DataFrame:
    """Candidates, the best first.

    Ties go to the earliest step, then to the lowest draw. A score that is not a number never wins: such candidates are
    left out, and with them a cell that has no others.

    Args:
        scored: Candidates, as :func:`scores` gives them.
    """
    return scored.filter(pl.col("score").is_not_nan()).sort("score", "step", "draw", descending=[True, False, False])


def _refuse(criterion: Criterion, lost: pl.DataFrame) -> None:
    name, target, trained = lost.sort(CELL).select("algorithm", "target", "trained").row(0)
    evaluated = sorted(set(lost["view"]) - {"clean"})
    if evaluated and set(evaluated) <= set(trained):
        raise RecipeError(
            f"'{criterion.name}' has no shift family left for '{name}' (target {target}): its candidates trained with "
            f"{', '.join(trained)}, and only {', '.join(evaluated)} were evaluated. Keep a family out of the sampler, "
            "or select by 'source'"
        )
    raise StoreError(
        f"'{criterion.name}' finds nothing to score for '{name}' (target {target}): the records hold only the views "
        f"{', '.join(sorted(set(lost['view'])))}; evaluate the missing views"
    )
