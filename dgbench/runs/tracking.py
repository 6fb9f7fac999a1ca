"""Telling trackers what happens, in the words of the board. A tracker that raises loses its place, and nothing else."""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import polars as pl

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DGBenchError
from dgbench.core.results import LONGEST, Status
from dgbench.runs import events
from dgbench.runs.collect import collect
from dgbench.runs.events import Event, Setting, Tracker
from dgbench.runs.notes import Measured, Predicted
from dgbench.runs.plan import Entry, Plan
from dgbench.runs.store import Store
from dgbench.selection.criteria import choose, ranking
from dgbench.selection.records import CANDIDATE
from dgbench.train.spec import TRAININGS

log = logging.getLogger(__name__)


class Tracking:
    """The trackers of one way through a plan.

    Args:
        plan: What is carried out.
        trackers: Who is told.

    Attributes:
        lost: By tracker, why it is told nothing more.
        end: What is told at last: until all is done, what was done so far, where there is a tracker.
    """

    def __init__(self, plan: Plan, trackers: Sequence[Tracker] = ()) -> None:
        self.plan = plan
        self.trackers = {f"{_name(one)} ({n})" if n else _name(one): one for n, one in _numbered(trackers)}
        self.lost: dict[str, str] = {}
        self.end = events.BoardEnds(plan.board.name, "stopped", 0, 0, 0)
        self._steps: dict[str, int] = {}
        self._ended: set[str] = set()
        self._runs: set[str] = set()
        self._of_training: defaultdict[str, list[Entry]] = defaultdict(list)
        self._of_run: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in plan.entries if trackers else ():
            self._of_training[entry.training].append(entry)
            self._of_run[entry.run].append(entry)

    def tell(self, event: Event) -> None:
        """Tell every tracker that is left."""
        for name, tracker in list(self.trackers.items()):
            try:
                tracker(event)
            except Exception as error:  # noqa: BLE001 (whatever it is, hours of training do not end for it)
                why = f"{type(error).__name__}: {error}"
                log.warning("tracker %s failed and is told nothing more; the work goes on: %s", name, why)
                del self.trackers[name]
                self.lost[name] = why

    def hear(self, training: str, said: Measured | Predicted) -> None:
        """Pass on what a worker told."""
        if not self.trackers:
            return
        if isinstance(said, Measured):
            self._begun(training, said.step)
            for step, rows in itertools.groupby(said.rows, key=lambda row: int(row["step"])):
                if step > self._steps[training]:  # a worker that took over goes on from an earlier one
                    self._steps[training] = step
                    self.tell(_checkpoint(training, step, list(rows)))
        elif said.run not in self._runs:
            self._begun(training, self.plan.trainings[training].steps)
            self._runs.add(said.run)
            self.end = replace(self.end, runs=len(self._runs))
            for event in self._validated(training, said):
                self.tell(event)

    def ended(self, training: str, status: Status, cause: str = "") -> None:
        """A training and its runs are done, or cannot be."""
        if self.trackers and training not in self._ended:
            self._begun(training, self.plan.trainings[training].steps if status == "ok" else 0)
            self._ended.add(training)
            if status == "ok":
                self.end = replace(self.end, trainings=self.end.trainings + 1)
            else:
                self.end = replace(self.end, failed=self.end.failed + 1)
            self.tell(events.TrainingEnds(training, status, cause[:LONGEST]))

    def over(self, store: Store, trainings: int, runs: int, failed: int) -> None:
        """All is done that could be: say which models the board's criterion chose."""
        self.end = replace(self.end, status="failed" if failed else "ok", trainings=trainings, runs=runs, failed=failed)
        if self.trackers:
            for event in _selected(self.plan, store):
                self.tell(event)

    def _begun(self, training: str, step: int) -> None:
        if training in self._steps:
            return
        self._steps[training] = 0
        spec, entries = self.plan.trainings[training], self._of_training[training]
        self.tell(
            events.TrainingBegins(
                self.plan.board.name,
                training,
                step,
                spec.steps,
                algorithms=_each(entry.algorithm for entry in entries),
                targets=_each(entry.target for entry in entries),
                dataset=dataset_card(spec.dataset).name,
                sources=spec.sources,
                trial=spec.trial,
                draws=tuple(sorted({entry.draw for entry in entries})),
                backbone=spec.backbone,
                hyperparameters=dict(_flat(spec.parts)),
            )
        )

    def _validated(self, training: str, said: Predicted) -> Iterator[Event]:
        entries = self._of_run[said.run]
        rows = (row for row in said.metrics if row["split"] == "validation")
        found: defaultdict[int, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            found[row["step"]][row["view"]].append(row["accuracy"])
        algorithms, targets = _each(entry.algorithm for entry in entries), _each(entry.target for entry in entries)
        for step, views in sorted(found.items()):
            means = {view: sum(values) / len(values) for view, values in views.items()}
            yield events.Validated(training, said.run, algorithms, "".join(targets[:1]), step, means)


@contextmanager
def tracked(plan: Plan, trackers: Sequence[Tracker]) -> Iterator[Tracking]:
    """Tell trackers of the work inside the block: that it begins and, whatever ends it, that it is over."""
    board = plan.board
    tracking = Tracking(plan, trackers)
    tracking.tell(events.BoardBegins(board.name, board.title, board.criterion, len(plan.trainings), len(plan.runs)))
    try:
        yield tracking
    finally:
        tracking.tell(tracking.end)


def _selected(plan: Plan, store: Store) -> Iterator[Event]:
    try:
        records = collect(plan.board, store)
        criterion = ranking(plan.board.criterion, plan.board.name)
        chosen = choose(records.metrics, records.runs, criterion, records.indicators)
    except DGBenchError as error:
        log.warning("trackers are told of no selection: %s", error)
        return
    reached = records.metrics.filter((pl.col("split") == "target") & (pl.col("view") == "clean"))
    trained = records.runs.select("run", "training").unique()
    rows = chosen.join(reached.select(*CANDIDATE, "accuracy"), on=CANDIDATE, how="left").join(trained, on="run")
    columns = ("algorithm", "target", "trial", "draw", "step", "training", "run", "score", "accuracy")
    for row in rows.select(columns).sort(columns[:3]).iter_rows(named=True):
        yield events.Selected(**row, criterion=plan.board.criterion)


def _checkpoint(training: str, step: int, rows: Sequence[Mapping[str, Any]]) -> Event:
    accuracy, nll = ({row["domain"]: row[name] for row in rows} for name in ("accuracy", "nll"))
    return events.Checkpoint(training, step, rows[0]["loss"], accuracy, nll)


def _flat(parts: Mapping[Any, Mapping[str, Any]]) -> Iterator[tuple[str, Setting]]:
    for slot, fields in parts.items():
        for name, value in fields.items():
            if name == "part":
                yield slot, value
            elif name not in ("version", TRAININGS):
                yield f"{slot}.{name}", value if isinstance(value, Setting) else str(value)


def _each(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _numbered(trackers: Sequence[Tracker]) -> Iterator[tuple[int, Tracker]]:
    names = [_name(one) for one in trackers]
    for place, one in enumerate(trackers):
        yield names[:place].count(names[place]), one


def _name(tracker: Tracker) -> str:
    return getattr(tracker, "__qualname__", None) or type(tracker).__name__
