"""Which model of a board leaves: chosen by the board's criterion in one cell, with what is known of its accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import polars as pl

from dgbench.algorithms.averaging.merging import Merging
from dgbench.algorithms.slots import Averaging
from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import dataset_card, headlines, refuse_values
from dgbench.core.elsewhere import refuse
from dgbench.core.errors import RecipeError, StoreError, did_you_mean
from dgbench.core.recipe import compose
from dgbench.data.disk.locate import locate
from dgbench.exported.card import Measured, Scores
from dgbench.runs.all_domains import UNEXPORTED
from dgbench.runs.collect import Records, beaten, collect
from dgbench.runs.index import index
from dgbench.runs.parts import part_of
from dgbench.runs.plan import Entry, Plan, RunSpec
from dgbench.runs.planning import at_most, make_plan
from dgbench.runs.progress import Progress, Silent
from dgbench.runs.store import Store
from dgbench.selection.criteria import Criterion, choose, ranking
from dgbench.selection.design import Design
from dgbench.selection.records import CANDIDATE
from dgbench.selection.statistics import LEVEL, Estimate

_OVER_TRIALS = "95 % t-interval over trials"
_PLAIN = "argmax"
_OVER_IMAGES = "95 % Wilson interval over images"


@dataclass(frozen=True)
class Limits:
    """Why a command refuses some models, as its errors say it.

    Attributes:
        elsewhere: Whole algorithms from elsewhere.
        values: What predicts values.
        several: What predicts with several networks.
        predictors: What predicts otherwise than by the largest logit of the shared head among all classes; empty where
            that is not refused.
    """

    elsewhere: str
    values: str
    several: str
    predictors: str = ""


EXPORTED = Limits(UNEXPORTED, "an exported model says a class and its probability", "an exported model is one")


@dataclass(frozen=True)
class Choice:
    """A model that a criterion chose.

    Attributes:
        board: By whose rules.
        plan: Holds its training and its run.
        entry: Its candidate: algorithm, case, trial and draw.
        criterion: What chose it.
        step: Its checkpoint.
        score, views: What it reached by the criterion, on which views of validation images.
        scores: Its accuracies.
    """

    board: BoardCard
    plan: Plan
    entry: Entry
    criterion: Criterion
    step: int
    score: float
    views: tuple[str, ...]
    scores: Scores


def chosen(
    board: BoardCard,
    algorithm: str,
    store: Store,
    *,
    criterion: str,
    target: str | None = None,
    trial: int = 0,
    limits: Limits = EXPORTED,
) -> Choice:
    """The model that a criterion chooses for an algorithm in one case and trial of a board.

    Args:
        board: The rules.
        algorithm: A recipe, as ``sam + t3a``; it need not be one of the board's own list.
        store: Holds the finished runs.
        criterion: Its name; one that reads target labels is refused.
        target: The case, named after the domain that is left out; by default the board's first.
        trial: The repetition.
        limits: Of what wants the model.

    Raises:
        StoreError: there is no such case or trial, or runs of it are missing.
        DataError: the board's data is not on this machine.
        RecipeError: the recipe or the criterion does not fit.
    """
    refuse(algorithm, limits.elsewhere)
    by = ranking(criterion, board.name)
    plan = planned(board.model_copy(update={"algorithms": (algorithm,)}), trial + 1, limits=limits)
    cases = [case.name for case in plan.cases]
    if target is not None and target not in cases:
        raise StoreError(f"board '{board.name}' has no target '{target}'.{did_you_mean(target, cases)}")
    if not 0 <= trial < board.most:
        raise StoreError(f"board '{board.name}' has the trials 0 to {board.most - 1}, not {trial}")
    records = collect(plan.board, store, index(plan))
    cell = [entry for entry in plan.entries if (entry.target, entry.trial) == (target or cases[0], trial)]
    refuse_several(cell[0], limits)
    _refuse_predictor(cell[0], plan.runs[cell[0].run], limits)
    refuse_missing(cell, records)
    return of_cell(board, plan, cell, records, by)


def planned(
    board: BoardCard,
    trials: int = 0,
    fetch: bool = False,
    progress: Progress | None = None,
    limits: Limits = EXPORTED,
) -> Plan:
    """The plan of a board whose data is on this machine: classes, and what was tested, are read from it.

    Args:
        board: The rules.
        trials: How many there are at least, of each algorithm.
        fetch, progress: As for :func:`dgbench.runs.planning.make_plan`.
        limits: Of what wants its models.

    Raises:
        DataError: it is not.
        CardError: values are predicted.
    """
    refuse_values(board.dataset, limits.values)
    grown = {name: min(max(trials, board.trials), most) for name, most in at_most(board).items()}
    plan = make_plan(board, fetch=fetch, reading=(progress or Silent()).reading, trials=grown)
    for name in plan.absent:
        locate(dataset_card(name))
    return plan


def refuse_several(entry: Entry, limits: Limits = EXPORTED) -> None:
    """Refuse what predicts with several networks.

    Raises:
        RecipeError: it does.
    """
    part: Averaging = part_of("averaging", entry.hyperparameters["averaging"], entry.algorithm)
    if isinstance(part, Merging) and part.several:
        raise RecipeError(
            f"'{entry.algorithm}' predicts with several networks, and {limits.several}; take 'soup', the mean of their "
            "weights"
        )


def _refuse_predictor(entry: Entry, run: RunSpec, limits: Limits) -> None:
    if not limits.predictors:
        return
    if (own := run.predictor["part"]) != _PLAIN:
        raise RecipeError(
            f"'{entry.algorithm}' predicts with the predictor '{own}', and {limits.predictors}; take the recipe "
            "without that predictor, as 'erm' in place of 'erm + t3a'"
        )
    if run.among != "all":
        raise RecipeError(
            f"'{entry.algorithm}' predicts its target among the classes that are present there, and "
            f"{limits.predictors}; take a board that predicts among all"
        )


def refuse_missing(entries: Iterable[Entry], records: Records) -> None:
    """Refuse to choose among some of the models that the rules ask for. A draw that diverged has lost to the others.

    Raises:
        StoreError: a run is not there; it names the command that does it, or says why it failed.
    """
    done = set(records.runs["run"])
    lost = {one.place for one in beaten(records.runs, records.failed)}
    for entry in entries:
        if entry.run not in done and (entry.algorithm, entry.target, entry.trial, entry.draw) not in lost:
            why = [failed.reason for failed in records.failed if failed.target == entry.target]
            reason = f"failed: {why[0]}" if why else "is not finished"
            raise StoreError(
                f"{entry.title} on target {entry.target}, trial {entry.trial}, draw {entry.draw} {reason}; "
                f"'dgbench run {records.board.name} -a {compose(entry.algorithm).name!r}' does what is missing"
            )


def of_cell(board: BoardCard, plan: Plan, cell: list[Entry], records: Records, criterion: Criterion) -> Choice:
    """The choice among the candidates of one cell, all of which are there."""
    where, everywhere = cell[0], choose(records.metrics, records.runs, criterion, records.indicators)
    picked = everywhere.filter(
        (pl.col("algorithm") == where.algorithm) & (pl.col("target") == where.target) & (pl.col("trial") == where.trial)
    )
    if picked.is_empty():
        raise StoreError(f"'{criterion.name}' gives no model of {where.title} on target {where.target} a number")
    best = picked.row(0, named=True)
    entry = next(entry for entry in cell if entry.draw == best["draw"])
    scores = _scores(records, everywhere, entry, best["step"])
    return Choice(board, plan, entry, criterion, best["step"], best["score"], tuple(best["views"]), scores)


def _scores(records: Records, picked: pl.DataFrame, entry: Entry, step: int) -> Scores:
    own = records.metrics.filter(
        (pl.col("algorithm") == entry.algorithm)
        & (pl.col("target") == entry.target)
        & (pl.col("trial") == entry.trial)
        & (pl.col("draw") == entry.draw)
        & (pl.col("step") == step)
        & (pl.col("view") == "clean")
    )
    by_split = {split: own.filter(pl.col("split") == split) for split in ("validation", "target")}
    one = over_images if headlines(records.board)[entry.dataset] == "accuracy" else of_images
    validation = {row["domain"]: one(row["accuracy"], row["n"]) for row in by_split["validation"].to_dicts()}
    reached = by_split["target"].to_dicts()
    if not reached:
        return Scores(validation=validation)
    cells = reached_cells(records, picked).filter(pl.col("algorithm") == entry.algorithm)
    design = Design.of(records.runs, records.weights)
    return Scores(
        validation=validation,
        target=one(reached[0]["accuracy"], reached[0]["n"]),
        algorithm_on_target=over_trials(design.estimate(cells.filter(pl.col("target") == entry.target), "accuracy")),
        algorithm=over_trials(design.estimate(cells, "accuracy")),
    )


def reached_cells(records: Records, picked: pl.DataFrame) -> pl.DataFrame:
    """What was chosen in each cell, with the accuracy that it reached on the target."""
    reached = records.metrics.filter(pl.col("split") == "target").select(*CANDIDATE, "accuracy")
    return picked.join(reached, on=CANDIDATE)


def over_trials(estimate: Estimate) -> Measured:
    """A mean over trials, as cards say it."""
    interval = "none: chance was not measured" if estimate.margin is None else _OVER_TRIALS
    return Measured(value=estimate.mean, low=estimate.low, high=estimate.high, n=estimate.n, interval=interval)


def of_images(value: float, n: int) -> Measured:
    """Another measure of one model on n images."""
    return Measured(value=value, n=n, interval="none: of this measure on one set of images none is known")


def over_images(accuracy: float, n: int) -> Measured:
    """The accuracy of one model on n images, with Wilson's interval.

    E. B. Wilson: Probable Inference, the Law of Succession, and Statistical Inference. JASA 1927.

        (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre, scale = accuracy + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(accuracy * (1 - accuracy) / n + z * z / (4 * n * n))
    low, high = max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
    return Measured(value=accuracy, low=low, high=high, n=n, interval=_OVER_IMAGES)
