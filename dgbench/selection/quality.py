"""How good was the selection? Each criterion against what really happened on the target.

The target's labels are read here, after every choice is made: this judges criteria and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from dgbench.selection.criteria import Candidates, Criterion
from dgbench.selection.design import Design
from dgbench.selection.records import CANDIDATE
from dgbench.selection.statistics import CORRELATION, Estimate

SET = ("target", "trial")
"""What delimits the candidates that a criterion is judged by: those of all algorithms, draws and steps."""


@dataclass(frozen=True)
class Quality:
    """One criterion, judged over every candidate: all algorithms, draws and steps of a target and trial.

    Attributes:
        criterion: What was judged.
        picked: Target accuracy of the candidate with the highest score, the mean where several share it.
        regret: Target accuracy of the best candidate minus ``picked``; never negative.
        correlation: Spearman's rank correlation of score and target accuracy. 0 where the criterion gives every
            candidate the same score; None where no set of candidates has two different target accuracies.
        best: Target accuracy of the best candidate.
        blind: Target accuracy of a candidate picked at random.
        candidates: Mean number of candidates in a set.
        views: What the criterion scored on, for every candidate of every set; narrower than on the board where some
            other algorithm trained with a family.
        points: One row for each candidate, sorted by these: ``algorithm, target, trial, draw, step, score, accuracy``.
    """

    criterion: Criterion
    picked: Estimate
    regret: Estimate
    correlation: Estimate | None
    best: Estimate
    blind: Estimate
    candidates: float
    views: tuple[str, ...]
    points: pl.DataFrame = field(repr=False)


@dataclass(frozen=True)
class Judged:
    """What a criterion says of the candidates of some sets, and what they reach.

    Attributes:
        sets: One row for each: ``target, trial``, what was picked there, and what was there to be picked.
        points: One row for each candidate, as :attr:`Quality.points`.
    """

    sets: pl.DataFrame
    points: pl.DataFrame

    @classmethod
    def of(cls, candidates: Candidates, criterion: Criterion) -> Judged:
        """Of whole sets. A family that any candidate trained with is held out for all of its set.

        Args:
            candidates: Of whole sets, within :data:`SET`.
            criterion: What is judged.

        Raises:
            StoreError, RecipeError: as :meth:`dgbench.selection.criteria.Candidates.scores`.
        """
        # a score that is not a number ranks below every number
        scored = candidates.scores(criterion).with_columns(pl.col("score").fill_nan(float("-inf")))
        # in one order, so that means come to the same bits
        points = scored.join(candidates.reached, on=CANDIDATE, maintain_order="left")
        score, accuracy = pl.col("score"), pl.col("accuracy")
        sets = points.group_by(SET).agg(
            accuracy.filter(score == score.max()).mean().alias("picked"),
            accuracy.max().alias("best"),
            accuracy.mean().alias("blind"),
            pl.corr(score.rank(), accuracy.rank()).alias("correlation"),
            (score.n_unique() > 1).alias("discerns"),
            (accuracy.n_unique() > 1).alias("differs"),
            pl.len().alias("candidates"),
            pl.col("views").first(),
        )
        return cls(sets, points.select(*CANDIDATE, "score", "accuracy"))


def quality(judged: Sequence[pl.DataFrame], points: pl.DataFrame, criterion: Criterion, design: Design) -> Quality:
    """Judge a criterion.

    Args:
        judged: :attr:`Judged.sets` of all sets, in whichever parts.
        points: As :attr:`Quality.points`.
        criterion: Which.
        design: Of the board.
    """
    sets = pl.concat(judged).sort(SET)
    correlations = sets.filter("differs").with_columns(
        correlation=pl.when("discerns").then("correlation").otherwise(0.0)
    )
    return Quality(
        criterion,
        picked=design.estimate(sets, "picked"),
        regret=design.difference(sets, "best", "picked", design.lost),
        correlation=design.estimate(correlations, "correlation", CORRELATION) if correlations.height else None,
        best=design.estimate(sets, "best"),
        blind=design.estimate(sets, "blind"),
        candidates=float(sets.select(pl.col("candidates").mean()).item()),
        views=tuple(sorted(set.intersection(*map(set, sets["views"].to_list())))),
        points=points,
    )
