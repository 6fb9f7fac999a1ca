"""Which recipe of a board to use where nobody has labels: algorithm and hyperparameters, by validation scores alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.errors import RecipeError, StoreError
from dgbench.core.registry import StreamMode
from dgbench.exported.card import Expectation, Measured, Rival
from dgbench.exported.choose import over_trials, reached_cells
from dgbench.runs.collect import Records, beaten
from dgbench.runs.plan import Entry, Plan
from dgbench.selection.criteria import Criterion, choose, scores
from dgbench.selection.design import Design
from dgbench.selection.records import check
from dgbench.selection.statistics import SHARE, Estimate

_PLACE = ("target", "trial")
_NAMED = 3
_SHOWN: dict[StreamMode, str] = {
    "per_target": "streams of one domain in random order",
    "episodic": "batches of one domain, drawn at random, and it is reset before each",
    "by_class": "streams of one domain that show one class after the other",
}


@dataclass(frozen=True)
class Elected:
    """The recipe that won.

    Attributes:
        entry: One of its candidates: it has the hyperparameters that won.
        expected: What to expect of it, and how it was chosen.
    """

    entry: Entry
    expected: Expectation


def elect(plan: Plan, records: Records, criterion: Criterion) -> Elected:
    """Take the algorithm with the largest mean validation score, then the best of its sets of hyperparameters.

        score of a candidate    by the criterion, on views that no algorithm of the track has trained with
        of a set of hyperparameters in a cell    the best of its checkpoints
        of an algorithm in a cell    the best of its sets; then the mean over trials, then over targets

    A set that is drawn is another one in every case and trial, so sets are compared by their lead in a cell over the
    mean of the algorithm's sets there, averaged over the cells in which the set was tried. Ties go to the algorithm
    that the board lists first, and to the set of the lowest draw.

    No label of a target is read for the choice. Tracks are not compared: the inductive one is taken where it has an
    algorithm, and the unlabelled one never, since there is no target when all domains are learned from.

    Raises:
        StoreError: runs are missing that did not fail, or no algorithm has all of its runs.
        RecipeError: the criterion has nothing to select by, or all algorithms learn from images of their target.
    """
    standing, failed = _standing(plan, records)
    together = list(dict.fromkeys(entry.algorithm for entry in standing))
    tracks = {entry.track for entry in standing}
    track = next((name for name in ("inductive", "online") if name in tracks), None)
    if track is None:
        raise RecipeError(
            f"the algorithms of '{plan.board.name}' learn from unlabelled images of their targets, and a model of all "
            "domains has no target; export that of one target, with 'dgbench export', or name others with -a"
        )
    standing = [entry for entry in standing if entry.track == track]
    names = list(dict.fromkeys(entry.algorithm for entry in standing))
    own = pl.col("algorithm").is_in(names)
    metrics, runs = records.metrics.filter(own), records.runs.filter(own)
    check(metrics, runs, SHARE)
    sets = (
        scores(metrics, runs, criterion, _PLACE, records.indicators)
        .filter(pl.col("score").is_not_nan())
        .group_by("algorithm", *_PLACE, "draw")
        .agg(pl.col("score").max())
        .join(runs.select("algorithm", *_PLACE, "draw", "hyperparameters"), on=["algorithm", *_PLACE, "draw"])
    )
    ranking = _ranking(sets, names)
    if not ranking:
        raise StoreError(f"'{criterion.name}' gives no algorithm of '{plan.board.name}' a number in every case")
    best = ranking[0][0]
    draw, target, trial, tried = _best_set(sets.filter(pl.col("algorithm") == best))
    entry = next(e for e in standing if (e.algorithm, e.draw, e.target, e.trial) == (best, draw, target, trial))
    cells = reached_cells(records, choose(records.metrics, records.runs, criterion, records.indicators))
    design = Design.of(records.runs, records.weights)
    means = _means(design, cells, together)
    rivals = [
        Rival(algorithm=name, title=_title(standing, name), score=score, accuracy=over_trials(means[name]))
        for name, score in ranking
    ]
    reached = cells.filter(pl.col("algorithm") == best)
    targets = [case.name for case in plan.cases]
    unseen = {
        name: over_trials(design.estimate(reached.filter(pl.col("target") == name), "accuracy")) for name in targets
    }
    return Elected(
        entry,
        Expectation(
            unseen=unseen,
            lowest=min(unseen, key=lambda name: unseen[name].value),
            highest=max(unseen, key=lambda name: unseen[name].value),
            mean=rivals[0].accuracy,
            covers=_covers(rivals[0].accuracy, len(targets)),
            promises=_promises(plan.board, entry, records),
            chosen=_chosen(plan, criterion, track, len(names), failed, tried),
            rivals=tuple(rivals),
        ),
    )


def _standing(plan: Plan, records: Records) -> tuple[list[Entry], list[str]]:
    """The candidates of the algorithms that have all their runs, and who has not since runs failed.

    A draw that diverged is had: it loses to the others of its cell.
    """
    done = set(records.runs["run"])
    lost = {one.place for one in beaten(records.runs, records.failed)}
    missing = {
        entry.algorithm
        for entry in plan.entries
        if entry.run not in done and (entry.algorithm, entry.target, entry.trial, entry.draw) not in lost
    }
    failed = {one.algorithm: f"{one.title} ({one.reason})" for one in records.failed if one.algorithm in missing}
    board = plan.board.name
    if waiting := [name for name in records.names if name in missing and name not in failed]:
        some = ", ".join(waiting[:_NAMED]) + (f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else "")
        raise StoreError(
            f"{len(waiting)} of {len(records.names)} algorithms of '{board}' are not finished ({some}); 'dgbench run "
            f"{board}' does what is missing, or name those that stand for election with -a"
        )
    standing = [entry for entry in plan.entries if entry.algorithm not in missing]
    if not standing:
        raise StoreError(f"no algorithm of '{board}' has all of its runs: {'; '.join(failed.values())}")
    return standing, list(failed.values())


def _ranking(sets: pl.DataFrame, names: Sequence[str]) -> list[tuple[str, float]]:
    """Algorithms with their mean scores, the best first; one without a number in some cell has no place."""
    cells = sets.group_by("algorithm", *_PLACE).agg(pl.col("score").max())
    means = (
        cells.group_by("algorithm", "target")
        .agg(pl.col("score").mean(), pl.len())
        .group_by("algorithm")
        .agg(pl.col("score").mean().round(12), pl.col("len").sum())
    )
    full = cells.select(pl.struct(_PLACE).n_unique()).item()
    found = {name: score for name, score, count in means.iter_rows() if count == full}
    return sorted(found.items(), key=lambda one: (-one[1], names.index(one[0])))


def _best_set(sets: pl.DataFrame) -> tuple[int, str, int, int]:
    """Of the sets of one algorithm the one that leads: a draw, target and trial that has it, and how often it was."""
    lead = pl.col("score") - pl.col("score").mean().over(_PLACE)
    best = (
        sets.with_columns(lead=lead)
        .sort("draw", *_PLACE)
        .group_by("hyperparameters", maintain_order=True)
        .agg(pl.col("draw", *_PLACE).first(), pl.col("lead").mean().round(12), pl.len())
        .sort("lead", "draw", descending=[True, False], maintain_order=True)
        .row(0, named=True)
    )
    return best["draw"], best["target"], best["trial"], best["len"]


def _title(entries: Sequence[Entry], algorithm: str) -> str:
    return next(entry.title for entry in entries if entry.algorithm == algorithm)


def _means(design: Design, cells: pl.DataFrame, algorithms: Sequence[str]) -> dict[str, Estimate]:
    """As the board has them: with the variances of all algorithms of both tracks that have a model in every cell."""
    parts = {name: part for name in algorithms if (part := cells.filter(pl.col("algorithm") == name)).height}
    full = max(part.height for part in parts.values())
    known = design.means({name: part for name, part in parts.items() if part.height == full}, "accuracy")
    return {name: known.get(name) or design.estimate(part, "accuracy") for name, part in parts.items()}


def _covers(mean: Measured, targets: int) -> str:
    if mean.low is None:
        return "It has no interval: chance was not measured. Whatever interval it had, it would speak of these domains."
    return (
        f"Its interval (95 %, t, over trials) covers other splits, batches and random weights on these {targets} "
        "domains. It does not cover other domains: for those the range above is all that was seen."
    )


def _promises(board: BoardCard, entry: Entry, records: Records) -> tuple[str, ...]:
    said = [
        "The model itself was tested on no new domain: it learnt from all that there are. The numbers are of models of "
        "the same recipe that had one domain less, or fewer, to learn from.",
        "A domain that differs from all of these more than they differ from each other may do worse than the worst of "
        "them.",
        "Nothing is known of pictures of other classes: they are called by one of the classes that it knows.",
        "Its confidences were never compared with a new domain's truth.",
    ]
    if board.protocol == "single-source":
        said.append("On the board each model learnt from one domain alone; this one learnt from all.")
    if entry.track == "online":
        said.append(f"It adapts to the pictures that it is shown; the numbers hold for {_SHOWN[board.stream_mode]}.")
    if records.board.trials == 1:
        said.append("There was one trial: another split or other random weights may give other numbers.")
    return tuple(said)


def _chosen(
    plan: Plan, criterion: Criterion, track: str, standing: int, failed: Sequence[str], tried: int
) -> tuple[str, ...]:
    board, cells = plan.board, len(plan.cases) * plan.board.trials
    said = [
        f"{standing} algorithms of the {track} track stood for election. The one with the largest mean validation "
        f"score ({criterion.title}) over {cells} cells, {len(plan.cases)} domains left out in {board.trials} trials, "
        "was taken. No label of a domain left out was read.",
        "Neighbours in the list below may differ by chance: the board's ranks say which differences are shown.",
    ]
    if board.draws == 1:
        said.append("One set of hyperparameters was tried for each algorithm: nothing was tuned.")
    else:
        said.append(
            f"{board.draws} sets of hyperparameters were tried in each cell. Taken was the set that led the others in "
            f"its cells by most; it was tried in {tried} of {cells} cells."
        )
    share = "the official validation part" if board.split.official else f"{100 * board.split.validation:g} %"
    said.append(
        f"Then the recipe was trained on all domains, with {share} of each kept aside to choose the checkpoint."
    )
    if failed:
        said.append(f"Out of the election, since runs failed: {'; '.join(failed)}")
    return tuple(said)
