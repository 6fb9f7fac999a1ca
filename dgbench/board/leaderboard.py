"""A leaderboard, computed from records: who stands where, how sure that is, and what it cost.

Everything here is a pure function of the records and the board's rules. Each algorithm's models are chosen by the
board's criterion, cell by cell, and only then is the target looked at. Tracks are ranked apart. Algorithms that the
data cannot separate share a rank. What the oracle would have reached is carried along and ranks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from dgbench.core.errors import DGBenchError, StoreError
from dgbench.selection import criteria
from dgbench.selection.criteria import CRITERIA, Criterion, choose, scores
from dgbench.selection.quality import Quality, quality
from dgbench.selection.records import CANDIDATE, CELL, check
from dgbench.selection.statistics import Estimate, Strata, difference, estimate, ranks

_PLACE = ("target", "trial")


@dataclass(frozen=True)
class BoardInfo:
    """What a leaderboard must know of its rules and its data.

    Attributes:
        name, title, version: As the board's card has them.
        rules: Hash of the rules.
        dataset: Name of the dataset.
        domains: The board's cases by name, each a target once, in this order. On a board that leaves one domain out
            these are its domains.
        classes: How many there are.
        protocol: One paragraph: what is trained on what, and how it is tested.
        criterion: Name of the criterion that selects models.
        trials, draws: How many there are of each, for each target: trials 0, 1, ... and draws 0, 1, ...
        algorithms: Every algorithm that the board asks for.
        weights: Of the cases in every mean; equal ones if empty. A board of several datasets counts each dataset once.
        reference: The algorithm that the others are compared with, if it has entered.
        recompute: The command that computes the leaderboard again.
    """

    name: str
    title: str
    version: int
    rules: str
    dataset: str
    domains: tuple[str, ...]
    classes: int
    protocol: str
    criterion: str
    trials: int
    draws: int
    algorithms: tuple[str, ...]
    recompute: str
    weights: Mapping[str, float] = field(default_factory=dict)
    reference: str = "erm"

    @property
    def runs(self) -> int:
        """How many runs a complete algorithm has."""
        return len(self.domains) * self.trials * self.draws


@dataclass(frozen=True)
class Cost:
    """Seconds of work, with what was shared and what sharing saved.

    Attributes:
        train: Mean seconds of one training.
        predict: Mean seconds of one run: every prediction on source validation and target.
        passes: Forward-and-backward passes that a training step costs.
    """

    train: float
    predict: float
    passes: float


@dataclass(frozen=True)
class Entry:
    """One algorithm on the board. Accuracies are shares in [0, 1], of models that the criterion chose.

    Attributes:
        algorithm: Its name.
        title: As readers see it.
        backbone: What it was built on.
        rank: One more than the number of algorithms that the data show to be better, so ranks are shared; None where
            runs are missing or no model could be chosen in some cell.
        runs: How many of the board's runs it has.
        accuracy: On targets: mean over targets of the mean over trials.
        targets: The same for each target it has.
        worst: The target with the lowest mean.
        gap: Accuracy on clean source validation images minus accuracy on the target, for the same models.
        difference: Accuracy minus that of the reference, cell by cell; None for the reference itself.
        oracle: Accuracy with models chosen on the target: uses target labels, never ranks.
        families: Shift families that the criterion scored with, over all cells.
        trained: Shift families that its training images went through.
        cost: What it cost.
    """

    algorithm: str
    title: str
    backbone: str
    rank: int | None
    runs: int
    accuracy: Estimate
    targets: Mapping[str, Estimate]
    worst: str
    gap: Estimate
    difference: Estimate | None
    oracle: Estimate
    families: tuple[str, ...]
    trained: tuple[str, ...]
    cost: Cost

    @property
    def contaminated(self) -> tuple[str, ...]:
        """Families that served both training and the criterion."""
        return tuple(family for family in self.families if family in self.trained)


@dataclass(frozen=True)
class Track:
    """The algorithms that may be compared, by their means; those without a rank come last.

    Attributes:
        name: ``inductive`` or ``online``.
        entries: Never empty.
        qualities: How well each criterion picked among all candidates of the track.
        refusals: Why a criterion could not be judged, by its title.
    """

    name: str
    entries: tuple[Entry, ...]
    qualities: tuple[Quality, ...]
    refusals: Mapping[str, str]


@dataclass(frozen=True)
class Leaderboard:
    """All that the renderers show.

    Attributes:
        info: The rules.
        criterion: What selected the models.
        tracks: Each ranked for itself.
        absent: Algorithms of the board without a single finished run.
        cells: One row for each (algorithm, target, trial): what was chosen, and what it reached.
        seconds: Work that was done, each training counted once.
        seconds_unshared: Work that the same runs would have needed had each algorithm trained for itself.
        devices: What the trainings ran on.
        pictures: A PNG for each domain.
        provenance: What the numbers were computed with.
    """

    info: BoardInfo
    criterion: Criterion
    tracks: tuple[Track, ...]
    absent: tuple[str, ...]
    cells: pl.DataFrame
    seconds: float
    seconds_unshared: float
    devices: tuple[str, ...]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


def build(
    metrics: pl.DataFrame,
    runs: pl.DataFrame,
    info: BoardInfo,
    pictures: Mapping[str, bytes] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> Leaderboard:
    """Compute a leaderboard.

    Raises:
        RecipeError: the criterion reads target labels, or has no family left for some algorithm.
        StoreError: the records are faulty, empty, or outside the board's rules.
    """
    criterion = criteria.ranking(info.criterion, info.name)
    check(metrics, runs)
    _check_rules(metrics, info)
    cells = _cells(metrics, runs, criterion)
    return Leaderboard(
        info,
        criterion,
        tracks=tuple(_track(name, metrics, runs, cells, info) for name in sorted(set(cells["track"]))),
        absent=tuple(name for name in info.algorithms if name not in set(metrics["algorithm"])),
        cells=cells,
        seconds=_sum(runs.unique("training"), "train_seconds") + _sum(runs.unique("run"), "run_seconds"),
        seconds_unshared=_sum(runs.unique(["algorithm", "training"]), "train_seconds") + _sum(runs, "run_seconds"),
        devices=tuple(sorted(set(runs["device"]))),
        pictures=pictures or {},
        provenance=provenance or {},
    )


def _check_rules(metrics: pl.DataFrame, info: BoardInfo) -> None:
    """Refuse records that the rules do not ask for: one more draw for one algorithm is an unfair search."""
    if metrics.is_empty():
        raise StoreError(f"the board '{info.name}' has no finished run yet; run it, then compute the leaderboard")
    allowed = {
        "algorithm": info.algorithms,
        "target": info.domains,
        "trial": range(info.trials),
        "draw": range(info.draws),
    }
    for column, values in allowed.items():
        strangers = sorted(set(metrics[column]) - set(values))
        if strangers:
            raise StoreError(
                f"the records hold {column} {strangers}, which the rules of the board '{info.name}' do not ask for "
                f"({', '.join(map(str, values))}); leave these records out"
            )
    reached = metrics.filter(pl.col("split") == "target").select(CANDIDATE)
    blind = metrics.join(reached, on=CANDIDATE, how="anti")
    if blind.height:
        raise StoreError(f"run {blind['run'][0]} was not evaluated on its target at step {blind['step'][0]}")


def _cells(metrics: pl.DataFrame, runs: pl.DataFrame, criterion: Criterion) -> pl.DataFrame:
    """What was chosen in each cell, and what it reached."""
    reached = metrics.filter(pl.col("split") == "target")
    source = scores(metrics, runs, CRITERIA["source"]).select(*CANDIDATE, pl.col("score").alias("source_accuracy"))
    oracle = choose(metrics, runs, CRITERIA["oracle"]).select(
        *CELL,
        pl.col("score").alias("oracle_accuracy"),
        pl.col("draw").alias("oracle_draw"),
        pl.col("step").alias("oracle_step"),
    )
    return (
        choose(metrics, runs, criterion)
        .join(reached.select(*CANDIDATE, "track", "title", "accuracy", "nll", "n"), on=CANDIDATE)
        .join(source, on=CANDIDATE)
        .join(oracle, on=CELL)
        .join(runs.select(*CELL, "draw", "hyperparameters"), on=[*CELL, "draw"])
        .select(
            "track", *CELL, "title", "draw", "step", "score", "views", "accuracy", "nll", "n", "source_accuracy",
            "oracle_accuracy", "oracle_draw", "oracle_step", "run", "hyperparameters",
        )
        .sort("track", *CELL)
    )  # fmt: skip


def _track(name: str, metrics: pl.DataFrame, runs: pl.DataFrame, cells: pl.DataFrame, info: BoardInfo) -> Track:
    reference = cells.filter(pl.col("algorithm") == info.reference)
    own = {key: part for (key,), part in cells.filter(pl.col("track") == name).group_by("algorithm")}
    complete = {
        algorithm: part
        for algorithm, part in own.items()
        if part.height == len(info.domains) * info.trials and _runs(runs, algorithm).height == info.runs
    }
    weights = [info.weights.get(target, 1.0) for target in info.domains]
    ranked = ranks({algorithm: _strata(part, info) for algorithm, part in complete.items()}, weights)
    entries = [
        _entry(part, _runs(runs, algorithm), reference, ranked.get(algorithm), info) for algorithm, part in own.items()
    ]
    entries.sort(key=lambda e: (e.rank is None, -round(e.accuracy.mean, 12), e.algorithm))
    members = metrics.filter(pl.col("track") == name)
    member_runs = runs.filter(pl.col("algorithm").is_in(members["algorithm"].unique().to_list()))
    qualities, refusals = [], {}
    for criterion in CRITERIA.values():
        if not criterion.uses_target:
            try:
                qualities.append(quality(members, member_runs, criterion))
            except DGBenchError as error:
                refusals[criterion.title] = str(error)
    return Track(name, tuple(entries), tuple(qualities), refusals)


def _runs(runs: pl.DataFrame, algorithm: str) -> pl.DataFrame:
    return runs.filter(pl.col("algorithm") == algorithm)


def _entry(
    cells: pl.DataFrame, runs: pl.DataFrame, reference: pl.DataFrame, rank: int | None, info: BoardInfo
) -> Entry:
    algorithm, title = cells.select("algorithm", "title").row(0)
    paired = cells.join(reference, on=_PLACE, suffix="_reference")
    compared = algorithm != info.reference and paired.height > 0
    targets = {
        target: estimate([part["accuracy"].to_list()])
        for target in info.domains
        if (part := cells.filter(pl.col("target") == target)).height
    }
    weights, paired_weights = _weights(cells, info), _weights(paired, info)
    compare = (_strata(paired, info), _strata(paired, info, "accuracy_reference"), paired_weights)
    return Entry(
        algorithm,
        title,
        backbone=", ".join(sorted(set(runs["backbone"]))),
        rank=rank,
        runs=runs.height,
        accuracy=estimate(_strata(cells, info), weights),
        targets=targets,
        worst=min(targets, key=lambda target: targets[target].mean),
        gap=difference(_strata(cells, info, "source_accuracy"), _strata(cells, info), weights),
        difference=difference(*compare) if compared else None,
        oracle=estimate(_strata(cells, info, "oracle_accuracy"), weights),
        families=_union(cells["views"]) if set(_union(cells["views"])) != {"clean"} else (),
        trained=_union(runs["families"]),
        cost=Cost(
            train=_sum(runs.unique("training"), "train_seconds") / runs.n_unique("training"),
            predict=_sum(runs, "run_seconds") / runs.height,
            passes=_sum(runs, "passes") / runs.height,
        ),
    )


def _strata(cells: pl.DataFrame, info: BoardInfo, column: str = "accuracy") -> Strata:
    """One sequence of values, by trial, for each target that there is, in the board's order."""
    parts = (cells.filter(pl.col("target") == target).sort("trial") for target in info.domains)
    return [part[column].to_list() for part in parts if part.height]


def _weights(cells: pl.DataFrame, info: BoardInfo) -> list[float]:
    """The weights of the strata that there are."""
    present = set(cells["target"])
    return [info.weights.get(target, 1.0) for target in info.domains if target in present]


def _union(lists: Sequence[Sequence[str]] | pl.Series) -> tuple[str, ...]:
    return tuple(sorted({name for names in lists for name in names}))


def _sum(frame: pl.DataFrame, column: str) -> float:
    return float(frame.select(pl.col(column).sum()).item())
