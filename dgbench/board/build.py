"""Computing a leaderboard from records: who stands where, how sure that is, and what it cost.

Everything here is a pure function of the records and the board's rules. Each algorithm's models are chosen by the
board's criterion, cell by cell, and only then is the target looked at. A draw that diverged loses to the others of its
cell, and is counted. Tracks are ranked apart. Algorithms that the
data cannot separate share a rank, and algorithms that predict the same are one result. What could have been reached
with target labels is carried along and ranks nothing.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial

import polars as pl

from dgbench.board import costs
from dgbench.board.judging import Judging
from dgbench.board.leaderboard import BoardInfo, Entry, Leaderboard, Track
from dgbench.board.standing import Standing
from dgbench.core.errors import StoreError
from dgbench.runs.collect import NOTHING, Failure, Seconds, beaten
from dgbench.selection import criteria
from dgbench.selection.criteria import CRITERIA, Candidates, Criterion, best
from dgbench.selection.design import Design
from dgbench.selection.records import CANDIDATE, CELL, METRICS, Indicators, by_trial, check, none_at_hand
from dgbench.selection.statistics import POSITIVE, Estimate

_PLACE = ("target", "trial")


def build(
    metrics: pl.DataFrame | Callable[[], Iterator[pl.DataFrame]],
    runs: pl.DataFrame,
    info: BoardInfo,
    pictured: Callable[[], Mapping[str, bytes]] = dict,
    provenance: Mapping[str, str] | None = None,
    failed: Sequence[Failure] = (),
    known: Leaderboard | None = None,
    indicators: Indicators = none_at_hand,
    earlier: Seconds = NOTHING,
) -> Leaderboard:
    """Compute a leaderboard.

    Args:
        metrics, runs: Records as :mod:`dgbench.selection.records` has them; of the first all, or what reads one trial
            after the other: of a hundred thousand runs they are millions of rows, and choices are made within a trial.
        info: The rules.
        pictured: Draws a PNG for each domain.
        provenance: What the numbers were computed with.
        failed: The runs that could not be done.
        known: The leaderboard of the same records by another criterion: how well every criterion picks is taken from
            there, since it depends on none.
        indicators: Reads what criteria take from single predictions.
        earlier: Of trainings that others are part of, what each of these took.

    Raises:
        RecipeError: the criterion sees something of the target, or has no family left for some algorithm.
        StoreError: the records are faulty, empty, or outside the board's rules.
    """
    criterion = criteria.ranking(info.criterion, info.name)
    criteria.refuse_misfit(criterion, info.headline, info.name)
    if known is None:
        check(METRICS.to_frame(), runs)
    trials = _whole_looks(runs, failed, info) if info.looks else None
    finished: set[str] = set()
    chosen = []
    read = partial(by_trial, metrics) if isinstance(metrics, pl.DataFrame) else metrics
    looked_at = partial(_looked_at, runs, trials, indicators)
    for each in read():
        if known is None:
            check(each, _of_its_trials(runs, each), info.headline.recorded)
            _check_rules(each, info, failed)
        part, its, found = looked_at(each)
        if part.height:
            chosen.append(_cells(part, its, criterion, found))
            finished |= set(part["algorithm"].unique())
    if not chosen:
        refuse_unfinished(METRICS.to_frame(), info.name, failed)
    if trials is not None:
        runs = _seen(runs, trials)
    cells = pl.concat(chosen).sort("track", *CELL)
    twins = _twins(cells, runs, info)
    design = Design.of(runs, info.weights, info.looks, info.headline.recorded)
    lost = {failure.algorithm for failure in failed}
    judging = known.tracks[0].judging if known else Judging(info.headline, info.trials, design, read, looked_at)
    parts = {str(name): part for (name,), part in cells.group_by("algorithm")}
    diverged = Counter(failure.algorithm for failure in beaten(runs, failed))
    complete = {name: parts[name] for name in _complete(cells, runs, diverged, info)}
    standing = Standing.of(complete, twins, design, "accuracy")
    means = design.means(complete, "accuracy")
    likelihoods = design.means({name: part for name, part in complete.items() if _finite(part)}, "nll", POSITIVE)
    tracks = []
    for name in sorted(set(cells["track"])):
        members = set(cells.filter(pl.col("track") == name)["algorithm"])
        own = {algorithm: parts[algorithm] for algorithm in info.algorithms if algorithm in members}
        ranked = standing.ranks(own)
        entries = [
            _entry(
                part,
                _runs(runs, algorithm),
                diverged[algorithm],
                ranked.get(algorithm),
                means.get(algorithm) or design.estimate(part, "accuracy"),
                likelihoods.get(algorithm) or (design.estimate(part, "nll", POSITIVE) if _finite(part) else None),
                _ahead(algorithm, parts, standing, design, info.reference),
                twins[algorithm],
                design,
                info,
                earlier,
            )
            for algorithm, part in own.items()
        ]
        entries.sort(key=lambda e: (e.rank is None, -round(e.accuracy.mean, 12), info.algorithms.index(e.algorithm)))
        tracks.append(Track(name, tuple(entries), standing.pairs(own), judging))
    return Leaderboard(
        info,
        criterion,
        tracks=tuple(tracks),
        absent=tuple(name for name in info.algorithms if name not in finished | lost),
        failed=tuple(failed),
        cells=cells,
        design=design,
        standing=standing,
        seconds=costs.shared(runs, earlier),
        seconds_unshared=costs.unshared(runs, earlier),
        devices=tuple(sorted(set(runs["device"]))),
        pictured=pictured,
        provenance=provenance or {},
    )


def _check_rules(metrics: pl.DataFrame, info: BoardInfo, failed: Sequence[Failure]) -> None:
    """Refuse records that the rules do not ask for: one more draw for one algorithm is an unfair search."""
    refuse_unfinished(metrics, info.name, failed)
    allowed = {
        "algorithm": info.algorithms,
        "target": info.domains,
        "trial": range(info.most),
        "draw": range(info.draws),
    }
    for column, values in allowed.items():
        strangers = sorted(set(metrics[column].unique()) - set(values))
        if strangers:
            raise StoreError(
                f"the records hold {column} {strangers}, which the rules of the board '{info.name}' do not ask for "
                f"({', '.join(map(str, values))}); leave these records out"
            )


def _whole_looks(runs: pl.DataFrame, failed: Sequence[Failure], info: BoardInfo) -> dict[str, int]:
    """Of each algorithm at how many trials it was last looked at: whole trials, as many as some look says.

    What it has of more is not looked at yet: who chose when to look at half a round could choose what to see.
    """
    done = Counter(runs.select("algorithm", "trial").iter_rows())
    done.update((failure.algorithm, failure.trial) for failure in beaten(runs, failed))
    found = {}
    for name in runs["algorithm"].unique():
        whole = next(trial for trial in itertools.count() if done[name, trial] != info.of_trial)
        found[name] = max([look for look in info.looks if look <= whole], default=info.trials)
    return found


def _seen(table: pl.DataFrame, trials: Mapping[str, int]) -> pl.DataFrame:
    """The rows of the first trials, as many as each algorithm has."""
    return table.filter(pl.col("trial") < pl.col("algorithm").replace_strict(trials, return_dtype=pl.Int64()))


def refuse_unfinished(metrics: pl.DataFrame, board: str, failed: Sequence[Failure]) -> None:
    """Refuse records without a finished run, and runs without their target.

    Raises:
        StoreError: there is none, or one that was not evaluated on its target.
    """
    if metrics.is_empty() and failed:
        first = failed[0]
        raise StoreError(
            f"the board '{board}' has no finished run: {len(failed)} failed, the first of them {first.title} on "
            f"target {first.target}, trial {first.trial}: {first.reason}"
        )
    if metrics.is_empty():
        raise StoreError(f"the board '{board}' has no finished run yet; run it, then compute the leaderboard")
    reached = metrics.filter(pl.col("split") == "target").select(CANDIDATE)
    blind = metrics.join(reached, on=CANDIDATE, how="anti")
    if blind.height:
        raise StoreError(f"run {blind['run'][0]} was not evaluated on its target at step {blind['step'][0]}")


def _cells(metrics: pl.DataFrame, runs: pl.DataFrame, criterion: Criterion, indicators: Indicators) -> pl.DataFrame:
    """What was chosen in each cell, what it reached, and what could have been reached."""
    reached = metrics.filter(pl.col("split") == "target")
    candidates = Candidates(metrics, runs, indicators=indicators)
    source = candidates.scores(CRITERIA["source"]).select(*CANDIDATE, pl.col("score").alias("source_accuracy"))
    cells = best(candidates.scores(criterion))
    for name in ("ceiling", "oracle"):
        first = best(candidates.scores(CRITERIA[name])).select(CANDIDATE).join(reached, on=CANDIDATE)
        columns = {f"{name}_{column}": pl.col(column) for column in ("accuracy", "draw", "step")}
        cells = cells.join(first.select(*CELL, **columns), on=CELL)
    return (
        cells.join(reached.select(*CANDIDATE, "track", "title", "accuracy", "nll", "n", "digest"), on=CANDIDATE)
        .join(source, on=CANDIDATE)
        .join(candidates.trained, on=CELL)
        .join(runs.select(*CELL, "draw", "dataset", "sources", "hyperparameters"), on=[*CELL, "draw"])
        .select(
            "track", *CELL, "title", "dataset", "sources", "draw", "step", "score", "views", "trained", "accuracy",
            "nll", "n", "digest", "source_accuracy", "ceiling_accuracy", "ceiling_draw", "ceiling_step",
            "oracle_accuracy", "oracle_draw", "oracle_step", "run", "hyperparameters",
        )
    )  # fmt: skip


def _of_its_trials(runs: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """The runs of the trials that some records are of."""
    return runs.filter(pl.col("trial").is_in(metrics["trial"].unique().implode()))


def _looked_at(
    runs: pl.DataFrame, trials: Mapping[str, int] | None, indicators: Indicators, metrics: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, Indicators]:
    """Records of some trials, their runs and their indicators: of each algorithm its first trials, or all."""
    its = _of_its_trials(runs, metrics)
    if trials is not None:
        metrics, its = (_seen(table, trials) for table in (metrics, its))
    return metrics, its, cache(partial(_of_trials, indicators, its))


def _of_trials(indicators: Indicators, runs: pl.DataFrame) -> pl.DataFrame:
    """The indicators of the trials that some runs are of."""
    return indicators().filter(pl.col("trial").is_in(runs["trial"].unique().implode()))


def _twins(cells: pl.DataFrame, runs: pl.DataFrame, info: BoardInfo) -> dict[str, str]:
    """For every algorithm the first on the board that made the same predictions in the same cells: mostly itself.

    Recipes with a part that has no effect are never the first where another is the same.
    """
    idle = set(runs.filter(pl.col("without_effect") != "")["algorithm"])
    first: dict[object, str] = {}
    twins = {}
    for algorithm in sorted(info.algorithms, key=lambda name: name in idle):
        chosen = cells.filter(pl.col("algorithm") == algorithm)
        if chosen.height:
            predicted = tuple(chosen.sort(_PLACE).select(*_PLACE, "digest").iter_rows())
            twins[algorithm] = first.setdefault(predicted, algorithm)
    return twins


def _complete(cells: pl.DataFrame, runs: pl.DataFrame, diverged: Counter[str], info: BoardInfo) -> list[str]:
    """The algorithms that have all that the rules ask for, in the order of the rules."""
    chosen = Counter(cells["algorithm"].to_list())
    done = diverged + Counter(runs["algorithm"].to_list())
    trials = _trials(runs, info)
    return [
        name
        for name in info.algorithms
        if chosen[name] == len(info.domains) * trials[name] and done[name] == info.of_trial * trials[name]
    ]


def _trials(runs: pl.DataFrame, info: BoardInfo) -> dict[str, int]:
    """Of each algorithm how many trials it has to have, to be complete: those that all have, or more where it grew."""
    begun = dict(runs.group_by("algorithm").agg(pl.col("trial").max() + 1).iter_rows())
    return {name: max(begun.get(name, 0), info.trials) for name in info.algorithms}


def _ahead(
    algorithm: str, parts: Mapping[str, pl.DataFrame], standing: Standing, design: Design, reference: str
) -> Estimate | None:
    """What an algorithm has more than the reference: as pairs have it, else in the cells that both have."""
    if algorithm == reference or reference not in parts:
        return None
    known = standing.between(algorithm, reference)
    return design.ahead(parts[algorithm], parts[reference], "accuracy") if known is None else known


def _runs(runs: pl.DataFrame, algorithm: str) -> pl.DataFrame:
    return runs.filter(pl.col("algorithm") == algorithm)


def _entry(
    cells: pl.DataFrame,
    runs: pl.DataFrame,
    diverged: int,
    ranked: tuple[int, int] | None,
    accuracy: Estimate,
    nll: Estimate | None,
    difference: Estimate | None,
    twin: str,
    design: Design,
    info: BoardInfo,
    earlier: Seconds,
) -> Entry:
    algorithm, title = cells.select("algorithm", "title").row(0)
    parts = {str(target): part for (target,), part in cells.partition_by("target", as_dict=True).items()}
    targets = {target: design.estimate(parts[target], "accuracy") for target in info.domains if target in parts}
    views = pl.col("views").list.set_difference(["clean"])
    judged = CRITERIA[info.criterion].judges is not None  # by trainings without what this one trained with
    return Entry(
        algorithm,
        title,
        backbone=", ".join(sorted(set(runs["backbone"]))),
        pretrained_on=", ".join(sorted(set(runs["pretrained_on"]) - {""})),
        rank=ranked[0] if ranked else None,
        rank_worst=ranked[1] if ranked else None,
        runs=runs.height,
        diverged=diverged,
        trials=runs["trial"].n_unique(),
        same_as=twin if twin != algorithm else None,
        without_effect="; ".join(sorted(set(runs["without_effect"]) - {""})),
        accuracy=accuracy,
        nll=nll,
        targets=targets,
        datasets={str(name): design.estimate(part, "accuracy") for (name,), part in sorted(cells.group_by("dataset"))},
        worst=min(targets, key=lambda target: targets[target].mean),
        gap=_gap(cells, design),
        difference=difference,
        ceiling=design.estimate(cells, "ceiling_accuracy"),
        oracle=design.estimate(cells, "oracle_accuracy"),
        families=_union(cells, views),
        held_out=_union(cells.filter(views.list.len() > 0), pl.col("trained").list.set_difference(views)),
        contaminated=() if judged else _union(cells, pl.col("trained").list.set_intersection(views)),
        cost=costs.cost(runs, earlier),
        level=info.levels.get(algorithm, ""),
    )


def _gap(cells: pl.DataFrame, design: Design) -> Estimate | None:
    """Accuracy on the source minus that on the target; None where the models of some target have none on the source."""
    known = cells.filter(pl.col("source_accuracy").is_not_nan())
    if known["target"].n_unique() < cells["target"].n_unique():
        return None
    return design.difference(cells, "source_accuracy", "accuracy")


def _finite(cells: pl.DataFrame) -> bool:
    """Whether the likelihoods of all cells are known."""
    return bool(cells["nll"].is_finite().all())


def _union(cells: pl.DataFrame, lists: pl.Expr) -> tuple[str, ...]:
    """Every name in a column of lists."""
    return tuple(cells.select(lists.list.explode().drop_nulls().unique().sort().alias("names"))["names"])
