"""Carrying out a plan: what is missing of it, and who does that."""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from dgbench.core.amounts import in_words
from dgbench.core.dataset_card import dataset_card
from dgbench.core.elsewhere import trusted
from dgbench.core.errors import DGBenchError
from dgbench.data.cache.kept import shelf
from dgbench.data.cache.prepare import room_for
from dgbench.data.cache.streamed import Streamed
from dgbench.data.cache.streamed import wanted as streaming
from dgbench.data.catalogue import load
from dgbench.data.disk.locate import locate
from dgbench.data.domain import Dataset
from dgbench.launchers import opened
from dgbench.models.backbones import UNKNOWN
from dgbench.runs.deterministic import ready
from dgbench.runs.device import Devices, accelerator, kind_of, resolve_devices
from dgbench.runs.dividing import check_division, first_devices, workers_for
from dgbench.runs.emulated import emulated
from dgbench.runs.failures import Failure
from dgbench.runs.feature_shelf import shelf as features_of
from dgbench.runs.groundwork import groundwork
from dgbench.runs.heads import side_by_side
from dgbench.runs.index import asked, index
from dgbench.runs.jobs import Drawing, Job, Unit, unit
from dgbench.runs.keeping import let_go
from dgbench.runs.notes import STAGES, Stage
from dgbench.runs.overlap import idle
from dgbench.runs.plan import Plan
from dgbench.runs.progress import Progress, Silent
from dgbench.runs.room import Budget, Room
from dgbench.runs.setting import stored
from dgbench.runs.shares import Shares
from dgbench.runs.sizes import to_be_written
from dgbench.runs.store import Store
from dgbench.runs.sweep import Sweep
from dgbench.runs.todo import Todo, todo
from dgbench.runs.tracking import Tracking
from dgbench.runs.wishes import Boards
from dgbench.train.division import WHOLE, Division
from dgbench.train.together import pause

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """What carrying out a plan came to.

    Attributes:
        trainings, runs: How many were done here. What was finished before, or by another process, is not counted.
        seconds: By the clock.
        failed: What went wrong, by the training's id.
        untold: Trackers that failed, so that they were told nothing more, and why.
    """

    trainings: int
    runs: int
    seconds: float
    failed: dict[str, Failure]
    untold: Mapping[str, str] = field(default_factory=dict)


def launch(
    plan: Plan,
    store: Store,
    *,
    device: Devices = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    tracking: Tracking | None = None,
    launcher: str = "local",
    options: Mapping[str, Any] | None = None,
    division: Division = WHOLE,
) -> Summary:
    """Carry out what is missing of a plan, and list its runs as the board's.

    Args:
        plan: What is to be there.
        store: Where it is kept.
        device: ``auto`` takes every accelerator that there is, else the CPU; ``cuda:0,2`` two of them.
        workers: Processes in all; by default one for each CPU core, or a few for each accelerator that does the work.
        progress: Is told what happens.
        tracking: So are its trackers.
        launcher, options: Who does the work, and what is said to it (:mod:`dgbench.launchers`).
        division: What the steps of each training are divided into; a worker starts the other processes of its training.

    Raises:
        DGBenchError: a device, or what the launcher needs, is not there.
        RecipeError: a training cannot be divided so.
        DataError: a dataset of the board is not on this machine.
        DiskError: the store or the cache cannot be written, or the disk is full; workers are stopped then. Or one of
            them may not take what is needed at once; nothing was begun then.
    """
    for name in plan.absent:
        locate(dataset_card(name))
    for name, known in plan.starts.items():
        if known.weights == UNKNOWN:
            raise DGBenchError(
                f"the weights of '{name}' were not on this machine when this was planned; plan with fetch=True"
            )
    for one in idle(plan):
        log.warning("%s", one)
    pause()  # what is wrong with it is said before anything is begun
    started = time.perf_counter()
    store.clear()
    store.write_index(plan.board, index(plan, store.keep(plan.board)))
    # Nobody reads the predictions of a finished run, so they are read here.
    left = todo(plan, store, lambda run: store.intact("run", run), asked(plan, store))
    units = units_of(plan, left, division)
    devices = first_devices(resolve_devices(device), division) if launcher == "local" else (device,)
    progress = progress or Silent()
    if not units:
        tidy(plan, store)
        return Summary(0, 0, time.perf_counter() - started, {})
    if division:
        check_division(
            division, plan, (one.training for one in units if not one.trained), kind_of(devices[0]), launcher
        )
    wanted = sorted({(one.training.dataset, one.training.size) for one in units})
    seen = {one: load(*one, streaming=True) for one in wanted}  # nothing is decoded for that
    below = groundwork(units, store, lambda name, size: seen[name, size])
    if launcher == "local":
        workers = min(workers or workers_for(devices, division), len(below.jobs) + len(units))
    crew = opened(launcher, devices, workers, options or {}, ready, trusted())
    heads, units = side_by_side(below, crew.workers)
    jobs: list[Job] = sorted([*below.jobs, *heads, *units], key=_comes_later)
    if crew.far:  # what is drawn lies in the cache of a machine: workers draw what they look at in theirs
        jobs = [job for job in jobs if not isinstance(job, Drawing)]
    _say_what_is_tight(plan, store, crew.workers)
    if not crew.far and (slow := emulated(plan.board, crew.kind)):
        log.warning("%s", slow)
    budgets = {
        "cache": Budget(shelf(), sum(map(_decoded, seen.values()))),
        "features": Budget(features_of(store)),
    }
    with closing(Room(units, below.sights, budgets)) as room:
        # Here, so that no worker of this machine waits for another. What somebody has stays in the cache.
        held = [] if crew.far else [load(name, size, progress=partial(progress.reading, name)) for name, size in wanted]
        todo_of: Counter[Stage] = Counter()
        for job in jobs:
            todo_of.update(job.amounts())
        progress.start({stage: todo_of[stage] for stage in STAGES if todo_of[stage]})
        try:
            with crew:
                shares = Shares(accelerator(crew.kind))
                sweep = Sweep(plan, store, crew, room, shares, progress, tracking or Tracking(plan), division)
                sweep.run(jobs)
        finally:  # whatever ended workers, they may not have cleared away what they were at
            with suppress(OSError):  # a disk that takes nothing keeps it for the next sweep
                store.clear()
        del held
    tidy(plan, store)
    return Summary(sweep.done["trainings"], sweep.done["runs"], time.perf_counter() - started, sweep.failures)


def _comes_later(job: Job) -> bool:
    """All but what others start from and itself needs nothing: while that is at work, the rest finds other work."""
    return not (isinstance(job, Unit) and job.last and not job.needs())


def _say_what_is_tight(plan: Plan, store: Store, workers: int) -> None:
    """Before hours of work, not after them."""
    needed, free = to_be_written(plan, store, workers), shutil.disk_usage(store.root).free
    if needed > free:
        log.warning(
            "this board will write about %s to %s, where %s are left: make room before the disk is full, take another "
            "disk (--store), or keep no weights (--keep none)",
            *(in_words(needed), store.root, in_words(free)),
        )


def _decoded(dataset: Dataset) -> int:
    """Bytes that a dataset takes in the cache when it is decoded."""
    images = [domain.inputs for domain in dataset.domains if isinstance(domain.inputs, Streamed)]
    return room_for(map(len, images), images[0].size) if images and not streaming() else 0


def units_of(plan: Plan, left: Todo, division: Division = WHOLE) -> list[Unit]:
    """The units of what is to be done of a plan, each after those that it starts from."""
    at_work = [id_ for id_ in plan.trainings if left.at_work(id_)]
    starts = {start for id_ in at_work for start in left.needs(plan.trainings[id_])}
    return [
        unit(
            plan,
            id_,
            left.runs.get(id_, ()),
            trained=not left.trains(id_),
            last=id_ in starts,
            asked=left.asked.get(id_),
            division=division,
        )
        for id_ in at_work
    ]


def tidy(plan: Plan, store: Store) -> None:
    """Let go of what is still there and no board wants.

    That is what others started from, and what a process left that was killed.
    """
    boards = Boards.of(store)
    for id_ in plan.trainings:
        let_go(boards, id_, lambda spec: stored(spec, store, torch.device("cpu")))
