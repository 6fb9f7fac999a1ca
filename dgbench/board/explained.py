"""How a number of a board was computed: predictions counted again, then every step to its interval and its rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from dgbench.board.explain import Cell, Explanations
from dgbench.board.from_records import from_records
from dgbench.board.leaderboard import Entry, Leaderboard, Track
from dgbench.board.part import algorithms_named, cases_named, check_names
from dgbench.core.dataset_card import headlines
from dgbench.core.errors import StoreError
from dgbench.core.judges import KINDS
from dgbench.runs.collect import Records
from dgbench.selection.measures import OnTarget, summarised
from dgbench.selection.pairs import Pair
from dgbench.selection.predictions import STREAM
from dgbench.selection.records import CANDIDATE, over_examples
from dgbench.selection.statistics import RESOLUTION, Estimate

_COUNTED = ("accuracy", "nll", "n", "digest")


@dataclass(frozen=True)
class Summand:
    """What a cluster, the targets that one training serves, adds to the mean.

    Attributes:
        targets: Which.
        weight: Of them together, of 1.
        trials: Its mean over its targets, by trial, with their weights.
        variance: What it adds to the variance of the mean: weight² times the variance of the trials, over how many
            there are; None with a single trial.
    """

    targets: tuple[str, ...]
    weight: float
    trials: tuple[float, ...]
    variance: float | None


@dataclass(frozen=True, repr=False)
class Explanation:
    """How the number of an algorithm on a board came about.

    Attributes:
        board, track, entry: Where it stands, by the records.
        cells: The targets and trials that are asked for, with their candidates.
        counted: A row for each stream of predictions of these cells that was counted again: ``target, trial, draw,
            step, run, split, domain, view, n, accuracy``, with ``recorded``, what the records say of its accuracy, and
            ``same``, whether accuracy, likelihood, number and digest are those of the records.
        unseen: Runs of these cells whose predictions are not at hand.
        again: The entry with what was counted in place of what was recorded; it has no part in ``board``.
        summands: What the mean is made of.
        own: The mean with the interval that its own trials give.
        pairs: It against every other result of its track, the most certain first; nothing where it is unranked.
    """

    board: Leaderboard
    track: Track
    entry: Entry
    cells: tuple[Cell, ...]
    counted: pl.DataFrame
    unseen: tuple[str, ...]
    again: Entry
    summands: tuple[Summand, ...]
    own: Estimate
    pairs: tuple[Pair, ...]

    @property
    def whole(self) -> bool:
        """Whether every cell of the algorithm is there."""
        return len(self.cells) == self.board.cells.filter(algorithm=self.entry.algorithm).height

    @property
    def differs(self) -> bool:
        """Whether predictions say another thing than the records."""
        return not self.counted["same"].all()

    def __repr__(self) -> str:
        name, info = self.entry.algorithm, self.board.info
        said = "not all as recorded" if self.differs else "as recorded"
        return f"<Explanation of '{name}' on '{info.name}': {self.counted.height} streams counted again, {said}>"


def explained(
    found: Records,
    predicted: OnTarget,
    algorithm: str,
    *,
    targets: Sequence[str] | None = None,
    trials: Sequence[int] | None = None,
    criterion: str | None = None,
) -> Explanation:
    """How the number of an algorithm on a board came about.

    Args:
        found: The records of the board.
        predicted: Reads all predictions of a run.
        algorithm: Its name.
        targets, trials: Of which cells predictions are counted again and candidates are shown; all, where none is
            named.
        criterion: What selects models, in place of the board's own.

    Raises:
        UnknownNameError: the board has no such algorithm, target or trial.
        StoreError: it has no finished run there.
        DGBenchError: as for the leaderboard.
    """
    (name,) = algorithms_named(found.names, [algorithm])
    cases = found.cases if targets is None else cases_named(found.board, found.cases, targets)
    every = range(found.asked(name))
    check_names("trial", map(str, trials or ()), map(str, every))
    board = from_records(found, criterion)
    track, entry = _entry(board, name)
    asked = {(target, trial) for target in cases for trial in (every if trials is None else trials)}
    cells = Explanations(found, {board.criterion.name: board}).of(name)
    shown = tuple(cell for cell in cells if (cell.target, cell.trial) in asked)
    if not shown:
        raise StoreError(f"'{name}' has no finished run on '{board.info.name}' where it is asked for")
    counted, unseen = _counted(found, predicted, name, asked)
    again = entry
    if not counted["same"].all():
        again = _entry(from_records(_replaced(found, counted), board.criterion.name, board), name)[1]
    return Explanation(
        board,
        track,
        entry,
        shown,
        counted.drop("nll", "digest", "algorithm"),
        unseen,
        again,
        _summands(board, name),
        board.design.estimate(board.cells.filter(algorithm=name), "accuracy"),
        tuple(sorted((p for p in track.pairs if _result(board, name) in (p.first, p.second)), key=lambda pair: pair.p)),
    )


def _entry(board: Leaderboard, algorithm: str) -> tuple[Track, Entry]:
    for track in board.tracks:
        for entry in track.entries:
            if entry.algorithm == algorithm:
                return track, entry
    raise StoreError(f"'{algorithm}' has no chosen model on '{board.info.name}'")


def _result(board: Leaderboard, algorithm: str) -> str:
    """The first that predicts the same: the two are compared once."""
    return board.standing.results.get(algorithm, algorithm)


def _counted(
    found: Records, predicted: OnTarget, algorithm: str, asked: set[tuple[str, int]]
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Every stream of some cells, counted again beside what is recorded; and the runs without predictions."""
    by = headlines(found.board)
    own = found.metrics.filter(pl.col("algorithm") == algorithm, ~pl.col("split").is_in(KINDS))  # its own predictions
    datasets = dict(found.runs.select("run", "dataset").iter_rows())
    tables, unseen = [], []
    for (target, trial, draw, run), recorded in own.group_by("target", "trial", "draw", "run", maintain_order=True):
        if (target, trial) in asked:
            table = predicted(algorithm, str(run))
            if table is None:
                unseen.append(str(run))
                continue
            domain = pl.when(pl.col("split") == "target").then(pl.lit(target)).otherwise(pl.col("domain"))
            dataset = datasets[str(run)]
            said = summarised(table, by[dataset], dataset).with_columns(
                domain.alias("domain"),
                pl.coalesce("headline", "accuracy").alias("accuracy"),
                pl.col("step").cast(pl.Int64),
                pl.col("nll").fill_null(float("nan")),
            )
            said = over_examples(said.drop("headline")) if found.board.selection.average == "examples" else said
            known = recorded.select(*STREAM, *(pl.col(name).alias(f"{name}_recorded") for name in _COUNTED))
            place = {"algorithm": algorithm, "target": target, "trial": trial, "draw": draw, "run": run}
            beside = said.join(known, on=list(STREAM), how="full", coalesce=True, maintain_order="right_left")
            tables.append(beside.with_columns(pl.lit(value).alias(name) for name, value in place.items()))
    if not tables:
        kinds = {name: found.metrics.schema[name] for name in (*CANDIDATE, "run", "split", "domain", "view", *_COUNTED)}
        return pl.DataFrame(schema={**kinds, "recorded": pl.Float64, "same": pl.Boolean}), tuple(unseen)
    table = pl.concat(tables)
    close = [
        (pl.col(name) - pl.col(f"{name}_recorded")).abs() <= RESOLUTION * (1 + pl.col(f"{name}_recorded").abs())
        for name in ("accuracy", "nll")
    ]
    unknown = pl.col("nll").is_nan() & pl.col("nll_recorded").is_nan()
    same = close[0] & (close[1] | unknown) & (pl.col("n") == pl.col("n_recorded"))
    same = same & (pl.col("digest") == pl.col("digest_recorded"))
    return table.select(
        *CANDIDATE, "run", "split", "domain", "view", *_COUNTED,
        recorded="accuracy_recorded", same=same.fill_null(False),
    ), tuple(unseen)  # fmt: skip


def _replaced(found: Records, counted: pl.DataFrame) -> Records:
    """The records with what was counted in place of what was recorded."""
    key = [*CANDIDATE, "split", "domain", "view"]
    new = counted.drop_nulls("accuracy").select(*key, *(pl.col(name).alias(f"{name}_new") for name in _COUNTED))
    both = found.metrics.join(new, on=key, how="left", maintain_order="left")
    return replace(
        found,
        streams=both.with_columns(pl.coalesce(f"{name}_new", name).alias(name) for name in _COUNTED).select(
            found.metrics.columns
        ),
    )


def _summands(board: Leaderboard, algorithm: str) -> tuple[Summand, ...]:
    """What the mean of an algorithm is made of, cluster by cluster."""
    cells = board.cells.filter(algorithm=algorithm)
    there = [target for target in board.info.domains if target in set(cells["target"])]
    weights, clusters = board.design.shape(there)
    of = dict(zip(there, (weight / sum(weights) for weight in weights), strict=True))
    together: dict[object, list[str]] = {}
    for target, cluster in zip(there, clusters, strict=True):
        together.setdefault(cluster, []).append(target)
    found = []
    for targets in together.values():
        weight = sum(of[target] for target in targets)
        own = cells.filter(pl.col("target").is_in(targets)).with_columns(
            share=pl.col("target").replace_strict({t: of[t] / weight for t in targets}, return_dtype=pl.Float64)
        )
        trials = own.group_by("trial").agg((pl.col("accuracy") * pl.col("share")).sum()).sort("trial")["accuracy"]
        spread = trials.var()
        variance = None if len(trials) < 2 or not isinstance(spread, float) else weight**2 * spread / len(trials)
        found.append(Summand(tuple(targets), weight, tuple(trials), variance))
    return tuple(found)
