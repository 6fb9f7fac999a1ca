"""Which model a criterion chooses in each cell of a board and by how much, and what the other criteria would choose.

Choices are made first, and only then is the target looked at: what a choice reached there is what nobody knows when
choosing. Each cell is chosen in by itself, so a part of a board has the choices of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from dgbench.board.build import refuse_unfinished
from dgbench.board.part import algorithms_named, cases_named, check_names
from dgbench.core.dataset_card import dataset_card, headlines
from dgbench.core.errors import DGBenchError, StoreError
from dgbench.runs.collect import Failure, Records, beaten
from dgbench.selection.criteria import CRITERIA, Candidates, Criterion, at_hand, best, ordered, refuse_misfit
from dgbench.selection.measure import Measure
from dgbench.selection.measures import headline
from dgbench.selection.records import CANDIDATE, CELL, Indicators, check

_MODEL = ("draw", "step", "run", "score")
_CELLS = (
    "algorithm", "title", "track", "target", "trial", *_MODEL, "views", "candidates", "tied",
    *(f"next_{name}" for name in _MODEL), "margin", "accuracy", "ceiling", "regret",
)  # fmt: skip
_OTHERS = ("criterion", "uses_target", *CELL, *_MODEL, "same", "own_score", "behind", "accuracy", "regret")


@dataclass(frozen=True, repr=False, eq=False)
class Selection:
    """The models that a criterion chooses. Scores are the criterion's, higher is better; accuracies lie in [0, 1], or
    are what records hold of another headline.

    Attributes:
        board: The name of the board.
        criterion: What chose.
        headline: What is called accuracy here.
        cells: One row for each algorithm, target and trial, in the board's order: ``algorithm, title, track, target,
            trial``; the chosen ``draw, step, run``; its ``score``, and the ``views`` of the validation images that it
            was taken on; ``candidates``, how many there were; ``tied``, how many others score the same (the earliest
            step, then the lowest draw wins); of the next best ``next_draw, next_step, next_run, next_score``, and
            ``margin``, by how much it is behind, null where there is no other. With target labels: ``accuracy`` on the
            target, ``ceiling``, that of the best candidate, and ``regret``, what is lost against that.
        others: One row for each other criterion in each cell: ``criterion, uses_target, algorithm, target, trial``;
            the model that it would have chosen, ``draw, step, run``, with its own ``score``; ``same``, whether that is
            the chosen one; ``own_score`` and ``behind``, what the criterion of ``cells`` gives it, and by how much that
            is less, null where that is not a number. With target labels: ``accuracy`` and ``regret``.
        refusals: Why one of the others chooses nothing of an algorithm, by both their names.
        without: Cells with finished runs of which no candidate has a score that is a number: algorithm, target, trial.
        missing: How many runs are not finished, of those that the rules ask for. A draw that diverged where another is
            finished is a result, and not among them.
        failed: Those that were tried and failed.
        submitted: Of algorithms that were submitted, the id of the submission.
        unit: Of the values that are predicted, if they have one.
    """

    board: str
    criterion: Criterion
    headline: Measure
    cells: pl.DataFrame
    others: pl.DataFrame
    refusals: Mapping[tuple[str, str], str]
    without: tuple[tuple[str, str, int], ...]
    missing: int
    failed: tuple[Failure, ...]
    submitted: Mapping[str, str]
    unit: str = ""

    @property
    def exportable(self) -> bool:
        """Whether it is one model, chosen without target labels among all candidates, whose run the store holds."""
        one = self.cells.height == 1 and not (self.missing or self.submitted)
        return one and not self.criterion.uses_target

    def __repr__(self) -> str:
        return (
            f"<Selection on '{self.board}' by {self.criterion.name}: {self.cells.height} models of "
            f"{self.cells['algorithm'].n_unique()} algorithms>"
        )


def selected(
    found: Records,
    criterion: Criterion,
    *,
    algorithms: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    trials: Sequence[int] | None = None,
) -> Selection:
    """Choose in each cell, by a criterion and by all others.

    Args:
        found: The records of a board.
        criterion: What chooses. One that reads target labels may be looked at; it never ranks.
        algorithms, targets, trials: Only these.

    Raises:
        UnknownNameError: the board has no such algorithm, target or trial.
        StoreError: the records are faulty, or nothing that is asked for is finished.
        RecipeError: the criterion has nothing to choose by, or is about classes, and values are predicted.
    """
    asked = _asked(found, algorithms, targets, trials)
    wanted = [pl.col(name).is_in(list(values)) for name, values in asked.items()]
    metrics, runs = found.metrics.filter(wanted), found.runs.filter(wanted)
    failed = tuple(one for one in found.failed if all(getattr(one, name) in values for name, values in asked.items()))
    if runs.is_empty() and not found.runs.is_empty():
        why = dict.fromkeys(f"; {one.status}: {one.reason}" for one in failed)
        raise StoreError(f"no finished run of the board '{found.board.name}' is all that is asked for{''.join(why)}")
    refuse_unfinished(metrics, found.board.name, failed)
    by = headline(headlines(found.board))
    check(metrics, runs, by.recorded)
    refuse_misfit(criterion, by, found.board.name)

    candidates = Candidates(metrics, runs, indicators=found.indicators)
    scored = candidates.scores(criterion)
    reached = metrics.filter(split="target").select(*CANDIDATE, "title", "track", "accuracy")
    ceiling = reached.group_by(CELL).agg(ceiling=pl.col("accuracy").max())
    reached = reached.join(ceiling, on=CELL).with_columns(regret=pl.col("ceiling") - pl.col("accuracy"))
    cells = _cells(scored).join(reached, on=CANDIDATE).select(_CELLS)
    different = [other for other in at_hand(metrics, by) if other != criterion]
    others, refusals = _others(different, candidates, cache(lambda: _apart(metrics, runs, found.indicators)))
    return Selection(
        found.board.name,
        criterion,
        by,
        _in_order(cells, found),
        _in_order(_beside(others, cells, scored).join(reached, on=CANDIDATE).select(_OTHERS), found),
        refusals,
        without=tuple(runs.select(CELL).unique(maintain_order=True).join(cells, on=CELL, how="anti").iter_rows()),
        missing=_runs(found, asked) - runs.height - len(beaten(runs, failed)),
        failed=failed,
        submitted={name: id_ for name, id_ in found.submitted.items() if name in asked["algorithm"]},
        unit=value.unit if (value := dataset_card(found.board.dataset[0]).value) else "",
    )


def _asked(
    found: Records, algorithms: Sequence[str] | None, targets: Sequence[str] | None, trials: Sequence[int] | None
) -> dict[str, tuple[Any, ...]]:
    """The algorithms, targets and trials that are looked at; all where none is named."""
    every = range(found.board.most)
    check_names("trial", map(str, trials or ()), map(str, every))
    return {
        "algorithm": found.names if algorithms is None else algorithms_named(found.names, algorithms),
        "target": found.cases if targets is None else cases_named(found.board, found.cases, targets),
        "trial": tuple(every if trials is None else dict.fromkeys(trials)),
    }


def _runs(found: Records, asked: Mapping[str, Sequence[Any]]) -> int:
    """How many runs there are of what is asked for."""
    trials: int = sum(trial < found.asked(name) for name in asked["algorithm"] for trial in asked["trial"])
    return len(asked["target"]) * trials * found.board.draws


def _cells(scored: pl.DataFrame) -> pl.DataFrame:
    """The first of each cell, the second beside it, and among how many."""
    line = ordered(scored)
    second = line.group_by(CELL, maintain_order=True).agg(pl.col(_MODEL).slice(1, 1).first().name.prefix("next_"))
    count = scored.group_by(CELL).agg(candidates=pl.len())
    top = line.filter(pl.col("score") == pl.col("score").max().over(CELL)).group_by(CELL).agg(tied=pl.len() - 1)
    together = best(scored).join(second, on=CELL).join(count, on=CELL).join(top, on=CELL)
    return together.with_columns(margin=(pl.col("score") - pl.col("next_score")).round(12))


def _others(
    criteria: Sequence[Criterion], candidates: Candidates, apart: Callable[[], Mapping[str, Candidates]]
) -> tuple[pl.DataFrame, dict[tuple[str, str], str]]:
    """What other criteria choose, of all algorithms at once; one that refuses some judges the rest, and why of these.

    Args:
        criteria: The others.
        candidates: Of all algorithms.
        apart: Those of each algorithm.
    """
    chosen: list[pl.DataFrame] = []
    refusals: dict[tuple[str, str], str] = {}
    for criterion in criteria:
        try:
            picked = [best(candidates.scores(criterion))]
        except DGBenchError:
            picked, refused = _one_by_one(criterion, apart())
            refusals |= {(criterion.name, name): why for name, why in refused.items()}
        marks = {"criterion": pl.lit(criterion.name), "uses_target": pl.lit(criterion.uses_target)}
        chosen += [each.with_columns(**marks) for each in picked]
    return pl.concat(chosen), refusals


def _one_by_one(criterion: Criterion, apart: Mapping[str, Candidates]) -> tuple[list[pl.DataFrame], dict[str, str]]:
    """What a criterion chooses of each algorithm, and why it refuses one."""
    picked: list[pl.DataFrame] = []
    refused: dict[str, str] = {}
    for name, candidates in apart.items():
        try:
            picked.append(best(candidates.scores(criterion)))
        except DGBenchError as error:
            refused[name] = str(error)
    return picked, refused


def _apart(metrics: pl.DataFrame, runs: pl.DataFrame, indicators: Indicators) -> dict[str, Candidates]:
    """The candidates of each algorithm."""
    return {
        name: Candidates(metrics.filter(algorithm=name), runs.filter(algorithm=name), indicators=indicators)
        for name in metrics["algorithm"].unique(maintain_order=True)
    }


def _beside(others: pl.DataFrame, cells: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
    """What others choose in the cells in which the criterion chose, against what that chose."""
    own = scored.filter(pl.col("score").is_not_nan()).select(*CANDIDATE, own_score="score")
    held = cells.select(*CELL, chosen_draw="draw", chosen_step="step", chosen_score="score")
    return (
        others.join(held, on=CELL)
        .join(own, on=CANDIDATE, how="left")
        .with_columns(
            same=(pl.col("draw") == pl.col("chosen_draw")) & (pl.col("step") == pl.col("chosen_step")),
            behind=(pl.col("chosen_score") - pl.col("own_score")).round(12),
        )
    )


def _in_order(table: pl.DataFrame, found: Records) -> pl.DataFrame:
    """Algorithms and targets as the board lists them, then trials, then criteria."""
    places = {"algorithm": found.names, "target": found.cases, "criterion": tuple(CRITERIA)}
    key = {name: pl.col(name).cast(pl.Enum(list(names))) for name, names in places.items() if name in table.columns}
    return table.sort(key.pop("algorithm"), key.pop("target"), "trial", *key.values())
