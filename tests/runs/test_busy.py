"""Work that another process has is asked for again, ever more rarely, and keeps no other work waiting."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from dgbench.launchers import Launcher
from dgbench.runs import sweep
from dgbench.runs.jobs import Job
from dgbench.runs.launch import units_of
from dgbench.runs.planning import make_plan
from dgbench.runs.progress import Silent
from dgbench.runs.room import Room
from dgbench.runs.shares import Shares
from dgbench.runs.store import BusyError, Store
from dgbench.runs.todo import todo
from dgbench.runs.tracking import Tracking
from small import small_board


class Clock:
    """Time that passes where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Rival:
    """A launcher whose jobs another process has until some time; that of ``free`` it has not."""

    workers = 64

    def __init__(self, clock: Clock, until: float, free: str) -> None:
        self.clock, self.until, self.free = clock, until, free
        self.asked: dict[str, list[float]] = {}

    def admits(self, share: float) -> bool:
        return True

    def submit(self, do: object, job: Job, *arguments: object, **named: object) -> Future[None]:
        self.asked.setdefault(job.id, []).append(self.clock.now - 1000)
        future = Future[None]()
        if self.clock.now - 1000 < self.until and job.id != self.free:
            future.set_exception(BusyError("another process has it"))
        else:
            future.set_result(None)
        return future


def test_what_another_process_has_is_asked_for_ever_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(sweep, "time", clock)
    plan, store = make_plan(small_board("erm", "sam", trials=3)), Store(tmp_path)
    units = units_of(plan, todo(plan, store))
    *others, last = units
    rival = Rival(clock, 200.0, last.id)
    with closing(Room(units, {}, {})) as room:
        one = sweep.Sweep(plan, store, cast("Launcher", rival), room, Shares(""), Silent(), Tracking(plan))
        one.run(units)
    assert one.failures == {}
    assert rival.asked[last.id] == [0.0], "whatever the others wait for"
    waits = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert {job.id: rival.asked[job.id] for job in others} == {
        job.id: [sum(waits[:number]) for number in range(len(waits) + 1)] for job in others
    }
