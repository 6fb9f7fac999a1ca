"""What the boards of a store still want of the weights of each training.

A training writes what the runs that are to come will read. When they are done, what stays is what its boards keep:
``chosen``, the weights that a board's criterion chose; ``shown``, also those that other criteria would have chosen that
need neither single predictions nor judges of their own; ``all``; or ``none``. What trainings start from stays with
them. Predictions always stay.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from dgbench.core.cards import Keep
from dgbench.core.errors import DamagedError, DGBenchError
from dgbench.core.pieces import checkpoint, pieces
from dgbench.core.registry import Slot
from dgbench.core.spec import Spec, canonical
from dgbench.runs.collect import in_case
from dgbench.runs.finished import LOOKED_AT, MEASURED, looked_at
from dgbench.runs.headline import of_run
from dgbench.runs.judged import ENTRY, diverged, judged, judges_of, waited_for, weighed
from dgbench.runs.listed import INDEX, read_list
from dgbench.runs.roll import table
from dgbench.runs.said import rows_of
from dgbench.runs.store import Store
from dgbench.runs.wish import Wish, lost, made_of
from dgbench.selection.criteria import FROM_RECORDS, Candidates, get, ordered
from dgbench.selection.records import CELL, METRICS, RUNS, Indicators, check, none_at_hand, over_examples

Entry = dict[str, Any]
Cell = tuple[str, str, int]
"""Algorithm, target, trial."""
_AVERAGING: Slot = "averaging"
_UNMEASURED = {"train_seconds": 0.0, "run_seconds": 0.0, "device": "", "hyperparameters": ""}


@dataclass(frozen=True)
class _Board:
    """What a board's list of runs says of trainings.

    Attributes:
        criterion, keep: Its rules.
        headline: By dataset, what it is judged by where that is not accuracy.
        average: Over what validation is averaged.
        followers: The trainings that start from one.
        readers: The trainings that read one while they are done.
        pretrained: The trainings that backbones come from.
        trainings, cells: The board's entries by training, and by where one choice is made.
        judging, judges: What judges candidates, by training, and by where one choice is made.
        chosen: What was chosen in cells that were looked at, each with its step.
    """

    criterion: str
    keep: Keep
    headline: Mapping[str, str]
    average: str
    followers: dict[str, list[str]]
    readers: dict[str, list[str]]
    pretrained: frozenset[str]
    trainings: dict[str, list[Entry]]
    cells: dict[Cell, list[Entry]]
    judging: dict[str, list[Entry]]
    judges: dict[Cell, list[Entry]]
    chosen: dict[Cell, list[tuple[Entry, int]]] = field(default_factory=dict)


class Boards:
    """Boards, as lists of their runs.

    Args:
        store: Holds their work.
        lists: What they list.
        readable: Whether that is all that the store has; else nobody knows what others want.
    """

    def __init__(self, store: Store, lists: Iterable[Spec], *, readable: bool = True) -> None:
        self.store = store
        self.readable = readable
        self._boards = [self._board(content) for content in lists]

    @staticmethod
    def of(store: Store, without: Iterable[Path] = (), keep: Mapping[Path, Keep] = MappingProxyType({})) -> Boards:
        """The boards of a store, as they are now; other processes may be at work on it.

        Args:
            store: Which.
            without: Lists of runs that do not count.
            keep: Rules of some lists in place of their own.
        """
        lists, readable = [], True
        for path in store.indices():
            if path in set(without):
                continue
            try:
                content = read_list(path)
            except (OSError, ValueError):
                readable = False
                continue
            lists.append(content | ({"keep": keep[path]} if path in keep else {}))
        return Boards(store, lists, readable=readable)

    def _board(self, content: Spec) -> _Board:
        trainings: dict[str, list[Entry]] = defaultdict(list)
        cells: dict[Cell, list[Entry]] = defaultdict(list)
        for entry in content["entries"]:
            trainings[entry["training"]].append(entry)
            cells[_cell(entry)].append(entry)
        judging: dict[str, list[Entry]] = defaultdict(list)
        judges: dict[Cell, list[Entry]] = defaultdict(list)
        for judge in content.get("judges", ()):
            judging[judge["training"]].append(judge)
            judges[_cell(judge)].append(judge)
        if content.get("schema") != INDEX:  # of an earlier version, which kept everything
            return _Board("", "all", {}, "domains", {}, {}, frozenset(), trainings, cells, judging, judges)
        followers: dict[str, list[str]] = defaultdict(list)
        for follower, starts in content["starts"].items():
            for start in starts.values():
                followers[start].append(follower)
        readers: dict[str, list[str]] = defaultdict(list)
        for reader, read in content.get("reads", {}).items():
            for one in read:
                readers[one].append(reader)
        return _Board(
            criterion=content["criterion"],
            keep=content["keep"],
            headline=content.get("headline", {}),
            average=content.get("average", "domains"),
            followers=dict(followers),
            readers=dict(readers),
            pretrained=frozenset(
                starts["weights"]
                for starts in content["starts"].values()
                if "weights" in starts and starts["weights"] != starts.get("reference")  # which is of one case alone
            ),
            trainings=trainings,
            cells=cells,
            judging=judging,
            judges=judges,
        )

    def wish(self, training: str) -> Wish:
        """What is wanted of a training."""
        reads: dict[str, Spec] = {}
        candidates: dict[tuple[str, int], tuple[Spec, int]] = {}
        everything = False
        for board in self._boards:
            entries, judging = board.trainings.get(training, []), board.judging.get(training, [])
            everything |= bool(entries or judging) and board.keep == "all"
            listed = [(entry["hyperparameters"][_AVERAGING], entry["run"]) for entry in entries]
            listed += [(judge[_AVERAGING], judge["run"]) for judge in judging]  # it is read, and never chosen
            for averaging, run in listed:
                if not self.store.finished("run", run):
                    reads[canonical(averaging)] = averaging
            for entry, step in self._chosen(board, {_cell(entry) for entry in entries}):
                if entry["training"] == training:
                    averaging = entry["hyperparameters"][_AVERAGING]
                    candidates[canonical(averaging), step] = (averaging, step)
        return Wish(everything, self._starts(training), tuple(reads.values()), tuple(candidates.values()))

    def _starts(self, training: str) -> bool:
        """Whether the last weights of a training are wanted.

        What starts from it is built from them, whenever; what reads it needs them until it is done.
        """
        readers = (reader for board in self._boards for reader in board.readers.get(training, ()))
        return any(map(self._undone, readers)) or any(
            training in board.pretrained  # backbones are wanted by whoever comes
            or not self.store.finished("training", follower)
            or bool(self.wish(follower))
            for board in self._boards
            for follower in board.followers.get(training, ())
        )

    def _undone(self, training: str) -> bool:
        """Whether a training is to be done, maybe once more for weights that were let go of."""
        note = self.store.done("training", training)
        if note is None:
            return True
        wish, spec, have = self.wish(training), self.store.training(training), pieces(note["files"])
        wanted = {checkpoint(spec.checkpoint_steps()[-1])} if wish.last else set()
        wanted = wanted.union(*(made_of(averaging, spec) for averaging in wish.reads))
        return not wanted <= have or lost(wish, spec, have)

    def mates(self, training: str) -> set[str]:
        """A training, and those of whose weights some may be wanted no more since it is done.

        These are what it reads, what it judges, and what stands for the same choice: other draws of hyperparameters,
        each of which keeps the best that it has until all of them are done.
        """
        found = {training}
        for board in self._boards:
            found |= {read for read, readers in board.readers.items() if training in readers}
            done = {_cell(entry) for entry in board.trainings.get(training, [])}
            judged = {_cell(entry) for entry in board.judging.get(training, [])}
            for cell in done | judged:
                draws = board.cells[cell]  # the last come last, so they are asked first
                if cell in judged or all(self.store.finished("run", mate["run"]) for mate in reversed(draws)):
                    found |= {mate["training"] for mate in draws}
        return found

    def _chosen(self, board: _Board, cells: set[Cell]) -> Iterator[tuple[Entry, int]]:
        """Entries with the step of the candidate that stays."""
        if board.keep in ("chosen", "shown"):
            names = [board.criterion] if board.keep == "chosen" else [board.criterion, *FROM_RECORDS]
            for cell in cells:
                if cell not in board.chosen:
                    board.chosen.update(self._choose(board, cells - board.chosen.keys(), list(dict.fromkeys(names))))
                yield from board.chosen[cell]

    def _choose(self, board: _Board, cells: set[Cell], names: list[str]) -> dict[Cell, list[tuple[Entry, int]]]:
        """What the criteria choose in each cell; where draws are missing, the best that each finished one has.

        Where a criterion cannot choose, all candidates stay.
        """
        metrics: list[Entry] = []
        finished: dict[Cell, dict[int, Entry]] = {}
        complete = set(cells)
        for cell in cells:
            finished[cell] = {}
            for entry in board.cells[cell]:
                rows = self._measured(entry, board.headline.get(entry["dataset"]))
                metrics += [in_case(row, entry) for row in rows]
                if rows:
                    finished[cell][entry["draw"]] = entry
                else:
                    complete.discard(cell)
        if not metrics:
            return {cell: [] for cell in cells}
        if all(math.isnan(row["nll"]) for row in metrics):  # of values
            names = [name for name in names if not get(name).classes]
        own = table(metrics, METRICS)
        weights = cache(lambda: self._weights(board, cells, own))  # few criteria ask
        records = self._with_judgements(board, cells, own, complete)
        records = over_examples(records) if board.average == "examples" else records
        runs = table([entry | _UNMEASURED for cell in cells for entry in board.cells[cell]], RUNS)
        found: dict[Cell, dict[tuple[int, int], None]] = {cell: {} for cell in cells}
        measured = _Records(records, runs, weights)
        for name in names:
            for algorithm, target, trial, draw, step in _best(measured, name, complete):
                found[algorithm, target, trial][draw, step] = None
        return {cell: [(finished[cell][draw], step) for draw, step in found[cell]] for cell in cells}

    def _with_judgements(
        self, board: _Board, cells: set[Cell], metrics: pl.DataFrame, complete: set[Cell]
    ) -> pl.DataFrame:
        """Records with what judges say of the candidates; cells that still wait for one are not complete."""
        listed = [judge for cell in cells for judge in board.judges.get(cell, ())]
        if not listed:
            return metrics
        judges = judges_of({"judges": listed})
        of = {judge["run"]: judge for judge in listed}
        rows = [row for judge in of.values() for row in self._measured(judge, board.headline.get(judge["dataset"]))]
        measured = table(rows, MEASURED)
        lost = diverged(self.store, judges, measured["run"].unique())
        waiting = waited_for(judges, lost, measured)
        complete.difference_update(waiting.select(CELL).iter_rows())
        ready = judges.join(waiting, on=ENTRY, how="anti")
        return pl.concat([metrics, judged(ready, lost.join(waiting, on=ENTRY, how="anti"), metrics, measured)])

    def _weights(self, board: _Board, cells: set[Cell], metrics: pl.DataFrame) -> pl.DataFrame:
        """What judges found of the candidates' weights, as :data:`INDICATORS`."""
        listed = [judge for cell in cells for judge in board.judges.get(cell, ()) if judge["split"] == "weights"]
        found = [LOOKED_AT.to_frame()]
        for run in dict.fromkeys(judge["run"] for judge in listed):
            if (note := self.store.done("run", run)) is not None:
                with suppress(DamagedError):  # it is to be done again
                    found += looked_at(self.store.folder("run", run), run, note["files"])
        weights = weighed(judges_of({"judges": listed}), metrics, pl.concat(found))
        return pl.concat([none_at_hand(), weights], how="diagonal")

    def _measured(self, entry: Entry, headline: str | None) -> list[Entry]:
        """What the run of an entry, or of a judge, measured, each row with what the list says of it."""
        note = self.store.done("run", entry["run"])
        if note is None:
            return []
        try:
            rows = rows_of(self.store.folder("run", entry["run"]), note["files"])
            if headline is not None:
                values = of_run(self.store, entry["run"], headline, entry["dataset"])
                stream = itemgetter("step", "split", "domain", "view")
                rows = [row | {"accuracy": values[stream(row)]} for row in rows]
        except DGBenchError:  # it was damaged just now: to be done again
            return []
        return [entry | row | ({"nll": math.nan} if row["nll"] is None else {}) for row in rows]


@dataclass
class _Records:
    """What criteria choose from, checked when the first of them asks."""

    metrics: pl.DataFrame
    runs: pl.DataFrame
    weights: Indicators

    @cached_property
    def candidates(self) -> Candidates:
        check(self.metrics, self.runs)
        return Candidates(self.metrics, self.runs, indicators=self.weights)

    @cached_property
    def by_cell(self) -> list[_Records]:
        parts = self.metrics.partition_by(CELL)
        return [_Records(part, self.runs.join(part, on=CELL, how="semi"), self.weights) for part in parts]


def _best(records: _Records, name: str, complete: set[Cell]) -> Iterator[tuple[Any, ...]]:
    """Where candidates that a criterion chooses lie; all of a cell in which it cannot."""
    places = (*CELL, "draw", "step")
    try:
        scored = records.candidates.scores(get(name))
    except DGBenchError:
        if len(records.by_cell) == 1:
            yield from records.metrics.select(places).unique().iter_rows()
        else:
            for part in records.by_cell:
                yield from _best(part, name, complete)
        return
    for cell, those in ordered(scored).group_by(CELL, maintain_order=True):
        whole = cell in complete
        yield from (those.head(1) if whole else those.unique("draw", keep="first")).select(places).iter_rows()


def _cell(entry: Entry) -> Cell:
    return entry["algorithm"], entry["target"], entry["trial"]
