"""How well each criterion picked on each track of a board, trial by trial."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

import polars as pl

from dgbench.core.errors import DGBenchError
from dgbench.core.judges import KINDS
from dgbench.selection.criteria import Candidates, Criterion, among
from dgbench.selection.design import Design
from dgbench.selection.measure import Measure
from dgbench.selection.quality import SET, Judged, Quality, quality
from dgbench.selection.records import CANDIDATE, Indicators

Read = Callable[[], Iterator[pl.DataFrame]]
Look = Callable[[pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame, Indicators]]
Told = tuple[tuple[Quality, ...], Mapping[str, str]]
"""How well criteria picked on a track, and by the titles of others why they were not judged."""


class Judging:
    """Judges criteria by the trials that all algorithms have, and notes why one could not be judged.

    That is done when somebody asks: many look at ranks alone, and to judge takes as long as to rank them, and reads
    what criteria take from single predictions.

    Args:
        headline: Of the board.
        trials: How many all algorithms have.
        design: Of the board.
        read: Gives the records of some trials after those of others.
        look: Makes of these the arguments of :class:`dgbench.selection.criteria.Candidates`.
    """

    def __init__(self, headline: Measure, trials: int, design: Design, read: Read, look: Look) -> None:
        self._headline, self._trials, self._design, self._parts = headline, trials, design, (read, look)

    def of(self, track: str) -> Told:
        """What is told of a track."""
        return self._told.get(track, ((), {}))

    @cached_property
    def _told(self) -> dict[str, Told]:
        """By track. Criteria whose judges nobody asked for, in any trial, are left out."""
        seen = _Seen(self._headline, self._trials)
        read, look = self._parts
        for part in read():
            seen.look(*look(part))
        del self._parts  # with which go the records
        return seen.settle(self._design)


class _Seen:
    """What was seen of some trials."""

    def __init__(self, headline: Measure, trials: int) -> None:
        self._headline, self._trials = headline, trials
        self._splits: defaultdict[str, set[str]] = defaultdict(set)
        self._models: defaultdict[str, list[pl.DataFrame]] = defaultdict(list)
        self._sets: defaultdict[tuple[str, Criterion], list[pl.DataFrame]] = defaultdict(list)
        self._refused: dict[tuple[str, Criterion], str] = {}

    def look(self, metrics: pl.DataFrame, runs: pl.DataFrame, indicators: Indicators) -> None:
        """Judge by the records of some more trials.

        Of many runs there are as many models, and a score of each by each criterion; so all criteria share one table.
        """
        shared = pl.col("trial") < self._trials
        for (name,), members in metrics.filter(shared).group_by("track"):
            track, own = (
                str(name),
                runs.filter(pl.col("algorithm").is_in(members["algorithm"].unique().implode()), shared),
            )
            self._splits[track] |= set(members["split"].unique())
            candidates = Candidates(members, own, SET, indicators)
            models = candidates.reached
            for criterion in among(KINDS, self._headline):
                if not criterion.uses_target and (track, criterion) not in self._refused:
                    try:
                        found = Judged.of(candidates, criterion)
                    except DGBenchError as error:
                        self._refused[track, criterion] = str(error)
                    else:
                        self._sets[track, criterion].append(found.sets)
                        scored = found.points.select(*CANDIDATE, pl.col("score").alias(criterion.name))
                        models = models.join(scored, on=CANDIDATE, how="left")
            self._models[track].append(models)

    def settle(self, design: Design) -> dict[str, Told]:
        """What that comes to, which is let go here: of many runs it is large."""
        told: dict[str, Told] = {}
        for track, splits in self._splits.items():
            there = [one for one in among(splits, self._headline) if not one.uses_target]
            refusals = {one.title: self._refused[track, one] for one in there if (track, one) in self._refused}
            judged = [one for one in there if one.title not in refusals]
            models = pl.concat(self._models.pop(track), how="diagonal").sort(CANDIDATE)
            told[track] = (
                tuple(quality(self._sets.pop((track, one)), _points(models, one), one, design) for one in judged),
                refusals,
            )
        return told


def _points(models: pl.DataFrame, criterion: Criterion) -> pl.DataFrame:
    """The models that a criterion scores, with its score; their columns are shared where it scores all of them."""
    scored = models.select(*CANDIDATE, pl.col(criterion.name).alias("score"), "accuracy")
    return scored.drop_nulls("score") if scored["score"].null_count() else scored
