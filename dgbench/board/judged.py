"""The criteria of a board, ranked as its algorithms are: which of them chooses well, and how sure is that?

What a choice is and what it comes to is said in :mod:`dgbench.selection.judging`. Here these values, one for each
target and trial, get the intervals, the paired differences and the corrected ranks that algorithms have. Criteria that
see something of the target are ranked among themselves.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from dgbench.board.build import refuse_unfinished
from dgbench.board.from_records import info_of, provenance
from dgbench.board.leaderboard import BoardInfo
from dgbench.board.standing import Standing
from dgbench.core.dataset_card import refuse_values
from dgbench.core.errors import StoreError
from dgbench.runs.collect import Failure, Records, beaten
from dgbench.selection.criteria import Criterion, at_hand
from dgbench.selection.design import Design
from dgbench.selection.judging import (
    CHOICES,
    CORRELATIONS,
    REFERENCE,
    SET,
    Choice,
    Correlation,
    chosen,
    correlations,
    offered,
    scored,
)
from dgbench.selection.pairs import Contrasts, Pair
from dgbench.selection.records import check
from dgbench.selection.statistics import ANY, CORRELATION, SHARE, Estimate

AUGMENTED = "augmented"
"""The criterion of which a page says whether it chooses better than the reference."""


@dataclass(frozen=True)
class Worth:
    """What choosing by a criterion is worth; accuracies, on targets, are shares in [0, 1].

    Attributes:
        picked: Accuracy of what is chosen.
        regret: By how much that is less than the best.
        lost: Regret as a share of the best: a quotient of two means; None where the best is 0.
        hit: How often the best is chosen.
        gain: What is picked more than by the reference, paired; None for the reference itself.
        gained: The same as a share of what the reference picks: a quotient of two means, less 1; None where that is 0.
        rank, rank_worst: The best and the worst that its rank may be by what it picks; None for baselines.
        searches: What a search picks that sees 1, 2, ... draws of all, or of algorithms where the method is chosen.
    """

    picked: Estimate
    regret: Estimate
    lost: Estimate | None
    hit: Estimate
    gain: Estimate | None
    gained: Estimate | None
    rank: int | None
    rank_worst: int | None
    searches: tuple[Estimate, ...] = field(repr=False)


@dataclass(frozen=True)
class Judged:
    """One criterion on one track.

    Attributes:
        criterion: Which.
        same_as: The first criterion that scores every model the same, if that is another one: the two are one result.
        correlations: Of its scores with accuracy on the target; None where no two models differ in accuracy.
        choices: What each choice by it is worth.
    """

    criterion: Criterion
    same_as: str | None
    correlations: Mapping[Correlation, Estimate | None]
    choices: Mapping[Choice, Worth]


@dataclass(frozen=True, repr=False)
class JudgedTrack:
    """The criteria of a track.

    Attributes:
        name: ``inductive``, ``online`` or ``unlabelled``.
        algorithms: The titles of the algorithms whose models are chosen among, by name.
        models: How many there are, of all targets and trials.
        criteria: Those that are judged, in the order of :data:`dgbench.selection.criteria.CRITERIA`.
        best, blind: What each choice is worth to whoever knows the target's labels, and to whoever knows nothing.
        pairs: Of each choice, every pair of results that are ranked together.
        refusals: Why other criteria could not be judged, by name.
        points: One row for each model: ``algorithm, target, trial, draw, step, accuracy``, and its score by each
            criterion.
    """

    name: str
    algorithms: Mapping[str, str]
    models: int
    criteria: tuple[Judged, ...]
    best: Mapping[Choice, Worth]
    blind: Mapping[Choice, Worth]
    pairs: Mapping[Choice, tuple[Pair, ...]]
    refusals: Mapping[str, str]
    points: pl.DataFrame

    def of(self, name: str) -> Judged | None:
        """The criterion of that name; None where it is not judged."""
        return next((one for one in self.criteria if one.criterion.name == name), None)


@dataclass(frozen=True, repr=False)
class CriteriaBoard:
    """The criteria of a board.

    Attributes:
        info: The rules.
        tracks: Each judged for itself.
        missing: How many of the board's runs are not finished; a draw that diverged beside others is.
        failed: The runs that were tried and failed.
        provenance: What the numbers were computed with.
    """

    info: BoardInfo
    tracks: tuple[JudgedTrack, ...]
    missing: int = 0
    failed: tuple[Failure, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        tracks = ", ".join(f"{len(track.criteria)} on {track.models} {track.name} models" for track in self.tracks)
        return f"<CriteriaBoard '{self.info.name}': criteria {tracks}>"


def judged(found: Records, criteria: Iterable[Criterion] | None = None) -> CriteriaBoard:
    """Judge criteria by the finished runs of a board.

    Args:
        found: What was measured, and by which rules.
        criteria: Which, the reference among them; by default all of which the records have something. Those that read
            target labels are left out.

    Raises:
        StoreError: the records are faulty, there are none, or the reference cannot score them.
        CardError: values are predicted.
    """
    refuse_unfinished(found.metrics, found.board.name, found.failed)
    refuse_values(found.board.dataset, "criteria are judged here by shares (the board's own page has their regrets)")
    check(found.metrics, found.runs, SHARE)
    info = info_of(found)
    criteria = at_hand(found.metrics) if criteria is None else criteria
    asked = [criterion for criterion in criteria if not criterion.uses_target]
    tracks = []
    for name in sorted(set(found.metrics["track"])):
        metrics = found.metrics.filter(track=name)
        own = metrics.select("algorithm", "title").unique()
        runs = found.runs.filter(pl.col("algorithm").is_in(own["algorithm"].to_list()))
        points, refusals = scored(metrics, runs, asked, found.indicators)
        if REFERENCE in refusals:
            raise StoreError(refusals[REFERENCE])
        there = {criterion.name: criterion for criterion in asked if criterion.name in points.columns}
        titles = dict(own.iter_rows())
        algorithms = {algorithm: titles[algorithm] for algorithm in found.names if algorithm in titles}
        tracks.append(track(name, algorithms, points, there, refusals, Design.of(runs, info.weights)))
    missing = found.missing - len(beaten(found.runs, found.failed))
    return CriteriaBoard(info, tuple(tracks), missing, tuple(found.failed), provenance(found))


def track(
    name: str,
    algorithms: Mapping[str, str],
    points: pl.DataFrame,
    criteria: Mapping[str, Criterion],
    refusals: Mapping[str, str],
    design: Design,
) -> JudgedTrack:
    """Judge criteria by scored models.

    Args:
        name: Of the track.
        algorithms: The titles of its algorithms by name.
        points: Its models, as :func:`dgbench.selection.judging.scored` gives them.
        criteria: By the names of their columns, the reference among them.
        refusals: Why others have none.
        design: Of the board.
    """
    twins = _twins(points, criteria)
    results = [criterion for each, criterion in criteria.items() if twins[each] == each]
    apart = [[one.name for one in results if one.ranks == ranks] for ranks in (True, False)]
    worths, best, blind, pairs = {}, {}, {}, {}
    for choice in CHOICES:
        among = offered(points, choice).with_columns(blind=0.0)
        sides = {each: chosen(among, each, choice) for each in ("accuracy", "blind", *criteria)}
        standing = Standing(twins, _contrasts({one.name: sides[one.name][0] for one in results}, design))
        ranks = {each: place for group in apart for each, place in standing.ranks(_with(twins, group)).items()}
        made = {each: _worth(each, sides, standing, ranks.get(each), design) for each in sides}
        best[choice], blind[choice] = made.pop("accuracy"), made.pop("blind")
        worths[choice] = made
        pairs[choice] = tuple(pair for group in apart for pair in standing.pairs(group))
    criteria_judged = tuple(
        Judged(
            criterion,
            twins[each] if twins[each] != each else None,
            _correlations(points, each, design),
            {choice: worths[choice][each] for choice in CHOICES},
        )
        for each, criterion in criteria.items()
    )
    return JudgedTrack(name, algorithms, points.height, criteria_judged, best, blind, pairs, refusals, points)


def _contrasts(cells: Mapping[str, pl.DataFrame], design: Design) -> Contrasts:
    """Every two results, each by the variance of its own trials.

    It is not moderated, as that of algorithms is: variants of a criterion choose nearly the same models, so their
    variances are few that are independent, and have little to lend each other.
    """
    gaps = {(a, b): design.ahead(cells[a], cells[b], "picked") for a, b in itertools.combinations(cells, 2)}
    return Contrasts({names: gap for names, gap in gaps.items() if gap is not None})


def _twins(points: pl.DataFrame, criteria: Iterable[str]) -> dict[str, str]:
    """For every criterion the first that scores every model the same: mostly itself."""
    first: dict[tuple[float | None, ...], str] = {}
    return {name: first.setdefault(tuple(points[name].fill_nan(None)), name) for name in criteria}


def _with(twins: Mapping[str, str], group: Sequence[str]) -> list[str]:
    """Some results, with those that are the same."""
    return [name for name, first in twins.items() if first in group]


def _worth(
    name: str,
    sides: Mapping[str, tuple[pl.DataFrame, pl.DataFrame]],
    standing: Standing,
    rank: tuple[int, int] | None,
    design: Design,
) -> Worth:
    cells, searches = sides[name]
    both = cells.join(sides["accuracy"][0].select(*SET, best="picked"), on=SET)
    both = both.with_columns(regret=pl.col("best") - pl.col("picked"))
    gain = gained = None
    if name != REFERENCE:
        against = cells.join(sides[REFERENCE][0].select(*SET, reference="picked"), on=SET)
        gain = standing.between(name, REFERENCE) or design.difference(against, "picked", "reference")
        gained = _quotient(against, "picked", "reference", design)
    return Worth(
        picked=design.estimate(cells, "picked"),
        regret=design.difference(both, "best", "picked", SHARE),
        lost=_quotient(both, "regret", "best", design),
        hit=design.estimate(cells, "hit"),
        gain=gain,
        gained=replace(gained, mean=gained.mean - 1) if gained else None,
        rank=rank[0] if rank else None,
        rank_worst=rank[1] if rank else None,
        searches=tuple(design.estimate(part, "picked") for part in searches.partition_by("size", maintain_order=True)),
    )


def _quotient(cells: pl.DataFrame, one: str, other: str, design: Design) -> Estimate | None:
    """The mean of a column over the mean of another, with an interval by the delta method; None where that mean is 0.

    With R = a / b of two means, the error of R is that of the mean of (x - R y) / b.
    """
    base = design.estimate(cells, other, ANY).mean
    if base == 0:
        return None
    quotient = design.estimate(cells, one, ANY).mean / base
    parts = cells.with_columns(one=pl.col(one) / base, other=quotient * pl.col(other) / base)
    return replace(design.difference(parts, "one", "other", ANY), mean=quotient)


def _correlations(points: pl.DataFrame, name: str, design: Design) -> dict[Correlation, Estimate | None]:
    found = correlations(points, name)
    known = {each: found.filter(pl.col(each).is_not_null()) for each in CORRELATIONS}
    return {each: design.estimate(part, each, CORRELATION) if part.height else None for each, part in known.items()}
