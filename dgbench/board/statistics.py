"""Statistics beside the ranks of a board: tests by ranks, what accuracies vary by, and accuracy on the line.

None of it ranks: these are other questions, which others ask of such tables. Models are those that the criterion chose;
only where draws are told apart, each draw stands for itself, at the step that the criterion chose in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from dgbench.board.from_records import from_records
from dgbench.board.leaderboard import Leaderboard, Track
from dgbench.board.part import algorithms_named
from dgbench.runs.collect import Records
from dgbench.selection.criteria import scores
from dgbench.selection.line import Line, fit
from dgbench.selection.rank_tests import RankTests, rank_tests
from dgbench.selection.records import CANDIDATE, CELL
from dgbench.selection.statistics import DIFFERENCE, Estimate
from dgbench.selection.variance import Split, split

_SEVERAL = 3
"""Datasets that are blocks: of fewer a test by ranks could say nothing."""


@dataclass(frozen=True)
class OfTrack:
    """The ranked results of a track.

    Attributes:
        track: ``inductive``, ``online`` or ``unlabelled``.
        tests: By ranks; None where there is too little for them.
        blocks: What its blocks are: ``datasets``, or ``targets``, those that one training serves as one.
        split: What accuracies vary by; None where there is too little for that.
        lacking: Why something is None.
    """

    track: str
    tests: RankTests | None
    blocks: str
    split: Split | None
    lacking: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Statistics:
    """Statistics of a board.

    Attributes:
        board: What they are about.
        tracks: By rank tests and variance, each track for itself.
        line: Through the mean accuracies of all algorithms on source and target, as on the board's page; None where
            there is none.
        lines: The same on each target that has one.
        robustness: Effective robustness of each ranked algorithm: by how much it lies above the line of each target, in
            the mean over trials and targets. Its interval takes the lines for known.
    """

    board: Leaderboard
    tracks: tuple[OfTrack, ...]
    line: Line | None
    lines: Mapping[str, Line]
    robustness: Mapping[str, Estimate]

    def __repr__(self) -> str:
        return f"<Statistics of '{self.board.info.name}' by {self.board.criterion.name}: {len(self.tracks)} tracks>"


def statistics(found: Records, criterion: str | None = None, control: str | None = None) -> Statistics:
    """Statistics of a board.

    Args:
        found: Its records.
        criterion: What selects models, in place of the board's own.
        control: What the others are held against, in place of the board's reference.

    Raises:
        UnknownNameError: the control is not on the board.
        DGBenchError: as for the leaderboard.
    """
    if control is not None:
        (control,) = algorithms_named(found.names, [control])
    board = from_records(found, criterion)
    control = board.standing.results.get(control or board.info.reference)
    reached = _each_draw(found, board)
    lines = {} if board.info.value else _lines(board)  # they are on a scale of shares
    known = [
        (entry.on_source, entry.accuracy.mean)
        for entry in board.entries
        if entry.on_source is not None and not board.info.value
    ]
    return Statistics(
        board,
        tuple(_of(track, board, reached, control) for track in board.tracks),
        fit([source for source, _ in known], [target for _, target in known]),
        lines,
        _robustness(board, lines),
    )


def _of(track: Track, board: Leaderboard, reached: pl.DataFrame, control: str | None) -> OfTrack:
    results = list(dict.fromkeys(board.standing.results[e.algorithm] for e in track.entries if e.rank is not None))
    blocks = "datasets" if board.cells["dataset"].n_unique() >= _SEVERAL else "targets"
    served = _clusters(board)
    place = pl.col("dataset") if blocks == "datasets" else pl.col("target").replace_strict(served)
    lacking, tests, parts = [], None, None
    cells = board.cells.filter(pl.col("algorithm").is_in(results))
    values = cells.group_by("algorithm", "target", place.alias("block")).agg(pl.col("accuracy").mean())
    table = values.group_by("algorithm", "block").agg(pl.col("accuracy").mean()).pivot("block", index="algorithm")
    order = board.info.dataset.split(", ") if blocks == "datasets" else dict.fromkeys(served.values())
    table = table.select("algorithm", *(block for block in order if block in table.columns))
    if len(results) < 3 or table.width < 3:
        lacking.append(
            f"Tests by ranks need three results and two {blocks} with trainings of their own; there are "
            f"{len(results)} and {table.width - 1}."
        )
    else:
        named = {name: values for name, *values in table.iter_rows()}
        tests = rank_tests({name: named[name] for name in results}, table.columns[1:], control)
    shared = pl.col("trial") < board.info.trials  # those that all have, where trials may grow
    own, count = reached.filter(pl.col("algorithm").is_in(results), shared), len(set(served.values()))
    shape = (board.info.trials, board.info.draws)
    sizes = dict(own.group_by("algorithm").len().iter_rows())
    full = [name for name in results if sizes.get(name, 0) == count * math.prod(shape)]
    if len(full) < 2 or board.info.trials < 2:
        lacking.append("What accuracies vary by shows where two results have every draw of two trials.")
    else:
        own = own.filter(pl.col("algorithm").is_in(full)).sort("algorithm", "cluster", "trial", "draw")
        parts = split(own["accuracy"].to_numpy().reshape(len(full), count, *shape))
    if parts is not None and len(full) < len(results):
        left = ", ".join(name for name in results if name not in full)
        lacking.append(f"What accuracies vary by leaves out whoever lacks a draw that failed: {left}.")
    return OfTrack(track.name, tests, blocks, parts, tuple(lacking))


def _clusters(board: Leaderboard) -> dict[str, str]:
    """Every target by the names of all that the same trainings serve."""
    served: dict[object, list[str]] = {}
    for target in board.info.domains:
        served.setdefault(board.design.clusters.get(target, target), []).append(target)
    return {target: ", ".join(targets) for targets in served.values() for target in targets}


def _each_draw(found: Records, board: Leaderboard) -> pl.DataFrame:
    """What every draw reached, at the step that the criterion chose in it, in the mean over targets of one training.

    A draw without a score that is a number stands with its first step: it diverged, and is a result, too.
    """
    scored = scores(found.metrics, found.runs, board.criterion).with_columns(pl.col("score").fill_nan(-np.inf))
    picked = scored.sort("score", "step", descending=[True, False]).unique([*CELL, "draw"], keep="first")
    reached = found.metrics.filter(split="target").select(*CANDIDATE, "accuracy")
    cluster = pl.col("target").replace_strict(_clusters(board)).alias("cluster")
    together = picked.join(reached, on=CANDIDATE).group_by("algorithm", cluster, "trial", "draw")
    return together.agg(pl.col("accuracy").mean())


def _lines(board: Leaderboard) -> dict[str, Line]:
    """The line through the algorithms on each target."""
    means = board.cells.group_by("algorithm", "target").agg(pl.col("source_accuracy", "accuracy").mean())
    lines = {}
    for target in board.info.domains:
        own = means.filter(pl.col("target") == target, pl.col("source_accuracy").is_not_nan()).sort("algorithm")
        line = fit(own["source_accuracy"].to_list(), own["accuracy"].to_list())
        if line is not None:
            lines[target] = line
    return lines


def _robustness(board: Leaderboard, lines: Mapping[str, Line]) -> dict[str, Estimate]:
    """By how much each ranked algorithm lies above the lines; nothing where a target has none.

    One that has no number on the source in some cell is left out.
    """
    if set(lines) != set(board.info.domains):
        return {}
    parts = [
        own.with_columns(robustness=pl.Series(lines[str(target)].robustness(own["source_accuracy"], own["accuracy"])))
        for (target,), own in board.cells.group_by("target", maintain_order=True)
    ]
    unknown = set(board.cells.filter(pl.col("source_accuracy").is_nan())["algorithm"])
    ranked = {entry.algorithm for entry in board.entries if entry.rank is not None} - unknown
    cells = pl.concat(parts).filter(pl.col("algorithm").is_in(ranked)).group_by("algorithm", maintain_order=True)
    return board.design.means({str(name): part for (name,), part in cells}, "robustness", DIFFERENCE)
