"""Scores of candidates by a criterion, and who scores best."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import polars as pl

from dgbench.core.errors import RecipeError, StoreError
from dgbench.core.judges import BY, Judges
from dgbench.selection.criteria.criterion import Criterion
from dgbench.selection.records import CANDIDATE, CELL, Indicators, check, none_at_hand

_STREAM = ("split", "domain", "view", "accuracy", "nll", "n")
"""What a criterion reads of each stream."""


def scores(
    metrics: pl.DataFrame,
    runs: pl.DataFrame,
    criterion: Criterion,
    within: Sequence[str] = CELL,
    indicators: Indicators = none_at_hand,
) -> pl.DataFrame:
    """Score every candidate by one criterion; as :class:`Candidates`, which is for several."""
    return Candidates(metrics, runs, within, indicators).scores(criterion)


class Candidates:
    """What criteria read of some candidates, looked up once for all of them.

    Args:
        metrics: Records as :data:`dgbench.selection.records.METRICS`.
        runs: Records as :data:`dgbench.selection.records.RUNS`; both were seen by
            :func:`dgbench.selection.records.check`, which looks at them once for all criteria.
        within: The columns that delimit a set of candidates. Candidates of one set are scored on the same views, so
            a family that one of them trained with is held out for all of them.
        indicators: What criteria take from single predictions and from weights; read where a criterion needs it.
    """

    def __init__(
        self,
        metrics: pl.DataFrame,
        runs: pl.DataFrame,
        within: Sequence[str] = CELL,
        indicators: Indicators = none_at_hand,
    ) -> None:
        self._metrics, self._runs, self._within = metrics, runs, list(within)
        self._indicators = indicators
        # no cache of a method: that would hold this, and with it the tables, until garbage is looked for
        self._visible: dict[tuple[str, bool], tuple[pl.DataFrame, int, int]] = {}

    @cached_property
    def trained(self) -> pl.DataFrame:
        """The shift families that any candidate of a set trained with: what delimits a set, and ``trained``."""
        families = pl.col("families").list.explode().drop_nulls().unique().sort()
        return self._runs.group_by(self._within).agg(families.alias("trained"))

    @cached_property
    def reached(self) -> pl.DataFrame:
        """What each reaches on its target, which judges choices and makes none: its columns, and ``accuracy``."""
        return self._metrics.filter(pl.col("split") == "target").select(*CANDIDATE, "accuracy")

    def scores(self, criterion: Criterion) -> pl.DataFrame:
        """Score every candidate.

        Args:
            criterion: What to score by.

        Returns:
            One row for each candidate: ``algorithm, target, trial, draw, step, run, score, views``. Scores are rounded
            to 12 decimals, so that the order in which a sum was taken breaks no tie.

        Raises:
            StoreError: candidates of one set were not evaluated on the same streams, or the criterion needs
                likelihoods, single predictions or judges that are not there.
            RecipeError: training used every family that the criterion could have held out.
        """
        if criterion.judges is not None:
            _refuse_unjudged(criterion, criterion.judges, self._metrics)
        asked = criterion.split, criterion.last
        if asked not in self._visible:
            self._visible[asked] = self._read(*asked)
        visible, sets, candidates = self._visible[asked]
        rows = visible.filter(criterion.keep)
        full = rows.group_by(self._within).agg(
            pl.struct("domain", "view").n_unique().alias("full"), pl.col("view").unique().sort().alias("views")
        )
        if full.height < sets:
            _refuse(criterion, visible.join(full, on=self._within, how="anti"))
        if "nll" in criterion.value.meta.root_names():
            _refuse_unknown(criterion, rows)
        score = pl.col("score")
        scored = (
            rows.group_by(*CANDIDATE, "run", criterion.least or "domain")
            .agg(criterion.value.mean().alias("score"), pl.len())
            .group_by(*CANDIDATE, "run")
            .agg((score.nan_min() if criterion.least else score.mean()).round(12), pl.col("len").sum())
            .join(full, on=self._within)
        )
        if scored.height < candidates:
            absent = visible.join(rows, on=CANDIDATE, how="anti").join(full, on=self._within).with_columns(len=0)
            _refuse_uneven(criterion, absent)
        if (scored["len"] != scored["full"]).any():
            _refuse_uneven(criterion, scored.filter(pl.col("len") != pl.col("full")))
        if criterion.indicator is not None:
            scored = _indicated(scored, criterion, criterion.indicator, self._indicators(), self._within)
        return scored.select(*CANDIDATE, "run", "score", "views").sort(CANDIDATE)

    def _read(self, split: str, last: bool) -> tuple[pl.DataFrame, int, int]:
        """The streams of a split, of the last steps alone or of all; and of how many sets and candidates there are."""
        streams = self._metrics.filter(pl.col("split") == split).select(*CANDIDATE, "run", *_STREAM)
        if last:
            streams = streams.filter(pl.col("step") == pl.col("step").max().over(*CELL, "draw"))
        visible = streams.join(self.trained, on=self._within)
        sets, candidates = (visible.select(columns).n_unique() for columns in (self._within, [*CANDIDATE, "run"]))
        return visible, sets, candidates


def _refuse_uneven(criterion: Criterion, uneven: pl.DataFrame) -> None:
    run, seen, full = uneven.sort(CANDIDATE).select("run", "len", "full").row(0)
    raise StoreError(
        f"'{criterion.name}' cannot compare candidates that were evaluated on different streams: run {run} has {seen} "
        f"of {full}; evaluate it again"
    )


def _refuse_unknown(criterion: Criterion, rows: pl.DataFrame) -> None:
    unknown = rows.filter(pl.col("nll").is_nan() & pl.col("accuracy").is_not_nan()).sort(CELL)
    if unknown.height:
        name, target = unknown.select("algorithm", "target").row(0)
        raise StoreError(
            f"'{criterion.name}' scores by likelihoods, and of '{name}' (target {target}) they are not known: only "
            "classes were predicted"
        )


def _refuse_unjudged(criterion: Criterion, kind: Judges, metrics: pl.DataFrame) -> None:
    unjudged = metrics.join(metrics.filter(split=kind), on=CANDIDATE, how="anti").sort(CANDIDATE)
    if unjudged.height:
        name, target = unjudged.select("algorithm", "target").row(0)
        raise StoreError(
            f"'{criterion.name}' judges by {BY[kind]}, and there are none for '{name}' (target {target}): boards "
            f"have them that select by it, as after 'dgbench run BOARD --criterion {criterion.name}'; "
            "submissions do not"
        )


def _indicated(
    scored: pl.DataFrame, criterion: Criterion, indicator: pl.Expr, known: pl.DataFrame, within: Sequence[str]
) -> pl.DataFrame:
    """Candidates with what an indicator makes of their score."""
    taken = known.with_columns(read=True)
    found = scored.join(taken, on=CANDIDATE, how="left").with_columns(score=indicator.over(within).round(12))
    unknown = found.filter(pl.col("score").is_null()).sort("read", *CANDIDATE, nulls_last=False)
    if unknown.height:
        algorithm, target, read = unknown.select("algorithm", "target", "read").row(0)
        whose = f"'{algorithm}' (target {target})"
        if not read:
            raise StoreError(
                f"'{criterion.name}' is computed from single predictions, and those of {whose} are not at hand: a "
                "store has them of its own runs, not of submissions"
            )
        raise StoreError(f"'{criterion.name}' is not known of {whose}: {criterion.lacking}")
    return found


def choose(
    metrics: pl.DataFrame, runs: pl.DataFrame, criterion: Criterion, indicators: Indicators = none_at_hand
) -> pl.DataFrame:
    """Choose a draw and a step for each (algorithm, target, trial), as :func:`best`.

    Args:
        metrics, runs, criterion, indicators: As for :func:`scores`, but that the records are checked here.

    Raises:
        StoreError: the records are faulty; else as :func:`scores`.
        RecipeError: as :func:`scores`.
    """
    check(metrics, runs)
    return best(scores(metrics, runs, criterion, indicators=indicators))


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
