"""Algorithms of a board held against one of them: paired by target and trial, then image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from dgbench.board.flips import FLIPPED, Flips, flips
from dgbench.board.from_records import from_records
from dgbench.board.leaderboard import Entry, Leaderboard
from dgbench.runs.collect import Records
from dgbench.selection.design import Lead
from dgbench.selection.measures import OnTarget
from dgbench.selection.pairs import adjusted
from dgbench.selection.statistics import LEVEL, RESOLUTION


@dataclass(frozen=True)
class Score:
    """Cells, each a target in a trial, in which the second algorithm was better, as good, or worse than the first."""

    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Against:
    """One algorithm against the first.

    Attributes:
        entry: How it stands on the board.
        track: ``inductive``, ``online`` or ``unlabelled``.
        lead: Its accuracy minus that of the first, paired cell by cell. The intervals are those of this comparison
            alone, uncorrected.
        p: p-value of the total after Holm's correction over all comparisons that were asked for; that of the interval
            where there is one comparison. None where chance cannot be measured.
        score, scores: Cells won, tied and lost: all of them, and on each target.
        same: Whether it predicts the same as the first, bit for bit, in every cell.
        trainings: How many serve its runs.
        shared: How many of them serve runs of the first, too.
        flips: Images by who got them right, for each target and trial; nothing where predictions are not at hand.
        images: Those on which the two parted: :data:`dgbench.board.flips.FLIPPED`.
    """

    entry: Entry
    track: str
    lead: Lead
    p: float | None
    score: Score
    scores: Mapping[str, Score]
    same: bool
    trainings: int
    shared: int
    flips: tuple[Flips, ...] = ()
    images: pl.DataFrame = field(repr=False, default_factory=pl.DataFrame)

    @property
    def better(self) -> str | None:
        """``second`` where it is shown to be better than the first, ``first`` where that is; None where neither is."""
        if self.p is None or self.p > 1 - LEVEL:
            return None
        return "second" if self.lead.total.mean > 0 else "first"


@dataclass(frozen=True, repr=False)
class Comparison:
    """Some algorithms of a board, against the first of them.

    Attributes:
        board: Of these algorithms alone.
        first: What the others are compared with.
        track: Of the first.
        trainings: How many serve the runs of the first.
        against: The others, in the order in which they were named.
        steps: Optimizer steps of one training.
        manifests: SHA-256 of each dataset.
    """

    board: Leaderboard
    first: Entry
    track: str
    trainings: int
    against: tuple[Against, ...]
    steps: int
    manifests: Mapping[str, str]

    def __repr__(self) -> str:
        info = self.board.info
        scale, unit, form = (info.headline.turn, "", "+.3g") if info.value else (100, " points", "+.1f")
        totals = [f"{one.entry.title} {scale * one.lead.total.mean:{form}}" for one in self.against]
        return f"<Comparison on '{info.name}' with {self.first.title}: {', '.join(totals)}{unit}>"


def compare(found: Records, algorithms: Sequence[str], on_target: OnTarget, criterion: str | None = None) -> Comparison:
    """Compare algorithms with the first of them.

    Args:
        found: The records of these algorithms, none missing.
        algorithms: Their names in the records, two or more.
        on_target: Reads what they predicted.
        criterion: What selects models, in place of the board's own.

    Raises:
        RecipeError: the criterion reads target labels, or has nothing to select by.
        StoreError: two algorithms share no cell, or were shown other images.
    """
    board = from_records(found, criterion)
    entries = {entry.algorithm: (entry, track.name) for track in board.tracks for entry in track.entries}
    cells = {name: board.cells.filter(pl.col("algorithm") == name) for name in algorithms}
    trained = {name: set(found.runs.filter(pl.col("algorithm") == name)["training"]) for name in algorithms}
    first, *others = algorithms
    against = []
    for name in others:
        lead = board.compare(name, first)
        score, scores = _scores(cells[name], cells[first])
        counts, images = (
            flips(cells[first], cells[name], on_target) if not board.info.value else ((), FLIPPED.to_frame())
        )
        against.append(
            Against(
                *entries[name],
                lead,
                lead.total.p,
                score,
                scores,
                _digests(cells[name]) == _digests(cells[first]),
                len(trained[name]),
                len(trained[name] & trained[first]),
                counts,
                images,
            )
        )
    # Where chance cannot be measured a comparison stays in the family, as one that nothing speaks against.
    holm = adjusted({number: 1.0 if one.p is None else one.p for number, one in enumerate(against)})
    corrected = [replace(one, p=None if one.p is None else holm[number]) for number, one in enumerate(against)]
    steps = found.board.training.steps
    return Comparison(board, *entries[first], len(trained[first]), tuple(corrected), steps, found.manifests)


def _scores(second: pl.DataFrame, first: pl.DataFrame) -> tuple[Score, dict[str, Score]]:
    places = first.select("target", "trial", pl.col("accuracy").alias("other"))
    gaps = second.join(places, on=["target", "trial"]).with_columns(gap=pl.col("accuracy") - pl.col("other"))
    return _score(gaps), {str(target): _score(part) for (target,), part in gaps.group_by("target")}


def _score(gaps: pl.DataFrame) -> Score:
    gap = gaps["gap"]
    wins, losses = int((gap > RESOLUTION).sum()), int((gap < -RESOLUTION).sum())
    return Score(wins, gap.len() - wins - losses, losses)


def _digests(cells: pl.DataFrame) -> list[tuple[str, int, str]]:
    return cells.sort("target", "trial").select("target", "trial", "digest").rows()
