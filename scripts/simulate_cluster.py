"""A thousand workers on one store, with failures and pre-emption: the real planner and the real sweeps, simulated time.

    python scripts/simulate_cluster.py                          # 1,000 workers in one sweep, 8,215 runs
    python scripts/simulate_cluster.py --sweeps 8 --mtbf 4      # a worker is lost every four hours

Each sweep is a ``dgbench run`` of its own with some workers, on the same store and the same plan. Nothing is trained: a
job takes as long as its steps and its runs would, and may lose its worker; then it goes on from its last state, as
often as the sweep tries. Sweeps that end with failures are begun again, as a person would. Shown are the time that all
took, against what it would be if workers never waited and lost only what the closed form says; what was done twice; and
how often a sweep asked for a piece that another one had.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
import tempfile
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dgbench.api.boards import rules
from dgbench.core.processes import WorkerDiedError
from dgbench.runs import sweep
from dgbench.runs.jobs import Job, Unit
from dgbench.runs.launch import units_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.progress import Silent
from dgbench.runs.shares import Shares
from dgbench.runs.store import BusyError, Store
from dgbench.runs.todo import todo
from dgbench.runs.tracking import Tracking

LOOK = 0.05
"""Seconds that a worker takes to see that a piece is done, or that another has it."""


@dataclass
class Cluster:
    """What all sweeps share: the clock, what is done, who is at what, and what was counted.

    Attributes:
        train, predict: Seconds of a training and of a run, on average.
        mtbf: Mean seconds until a worker is lost.
        state: Seconds between two states that a training resumes from.
        boot: Seconds until there is a worker in place of one that was lost.
    """

    train: float
    predict: float
    mtbf: float
    state: float
    boot: float
    random: np.random.Generator
    now: float = 0.0
    done: set[str] = field(default_factory=set)
    owned: set[str] = field(default_factory=set)
    kept: dict[str, float] = field(default_factory=dict)
    events: list[tuple[float, int, Any]] = field(default_factory=list)
    number: Any = field(default_factory=itertools.count)
    counts: Counter[str] = field(default_factory=Counter)
    useful: float = 0.0
    lost: float = 0.0

    def at(self, when: float, what: Any) -> None:
        """Something is to happen."""
        heapq.heappush(self.events, (when, next(self.number), what))

    def seconds(self, job: Job) -> float:
        """What a job takes: drawn once, for all who try it."""
        assert isinstance(job, Unit)
        drawn = np.random.default_rng(int(job.id, 16)).lognormal(-0.125, 0.5)  # of mean 1
        return float(self.train * drawn * bool(job.training.steps) + self.predict * len(job.runs))

    def begin(self, job: Job, outcome: Outcome) -> None:
        """A worker takes up a job."""
        self.counts["looks"] += 1
        if job.id in self.done:
            self.at(self.now + LOOK, outcome)
        elif job.id in self.owned:
            self.counts["busy"] += 1
            outcome.error = BusyError("another process has it")
            self.at(self.now + LOOK, outcome)
        else:
            self.owned.add(job.id)
            left = self.seconds(job) - self.kept.get(job.id, 0.0)
            dies = float(self.random.exponential(self.mtbf))
            if dies < left:
                saved = self.state * math.floor(dies / self.state)
                self.kept[job.id] = self.kept.get(job.id, 0.0) + saved
                self.lost += dies - saved
                self.counts["workers lost"] += 1
                outcome.error = WorkerDiedError(-9)
                self.at(self.now + dies + self.boot, outcome)
            else:
                self.useful += self.seconds(job)
                self.at(self.now + left, outcome)
            outcome.owns = True


@dataclass
class Outcome:
    """How a job is to end, in the sweep that began it."""

    of: Driven
    job: Job
    future: Future[float | None]
    error: Exception | None = None
    owns: bool = False


class Driven(sweep.Sweep):
    """A sweep whose jobs take simulated time: its own launcher, its own room, and it is told when a job is over."""

    def __init__(self, plan: Plan, store: Store, workers: int, cluster: Cluster) -> None:
        self.workers = workers
        super().__init__(plan, store, self, self, Shares(""), Silent(), Tracking(plan))  # type: ignore[arg-type]
        self.cluster = cluster

    def submit(self, do: object, job: Job, *_: object, **__: object) -> Future[float | None]:
        """As a launcher has it."""
        future: Future[float | None] = Future()
        self.cluster.begin(job, Outcome(self, job, future))
        return future

    def admits(self, _: object) -> bool:
        """As room and a launcher have it: there is some."""
        return True

    def over(self, job: Job) -> None:
        """As room has it."""

    def begin(self, jobs: list[Unit]) -> None:
        """What :meth:`run` does first."""
        self.waiting.extend(jobs)
        self.pending = {job.id for job in jobs if not job.trained}
        self._start()

    def end(self, outcome: Outcome) -> None:
        """What :meth:`run` does whenever a job is over."""
        del self.running[outcome.future]
        if outcome.error is None:
            outcome.future.set_result(None)
        else:
            outcome.future.set_exception(outcome.error)
        self._settle(outcome.job, outcome.future)
        if isinstance(outcome.error, BusyError):
            until, _ = self.put_off[outcome.job.id]
            self.cluster.at(until, self)
        self._start()

    def wake(self) -> None:
        """What :meth:`run` does when a job is put off no longer."""
        self._start()


def simulated(plan: Plan, jobs: list[Unit], store: Store, sweeps: int, workers: int, cluster: Cluster) -> None:
    """Let sweeps do the jobs of a plan, and begin again those that end while something is left."""
    driven: set[Driven] = set()

    def begin() -> None:
        cluster.counts["sweeps begun"] += 1
        left = [job for job in jobs if job.id not in cluster.done]
        one = Driven(plan, store, workers // sweeps, cluster)
        driven.add(one)
        one.begin(left)

    for _ in range(sweeps):
        begin()
    while cluster.events:
        cluster.now, _, what = heapq.heappop(cluster.events)
        if isinstance(what, Driven):
            one = what
            one.wake()
        else:
            one = what.of
            _let_go(cluster, what)
            one.end(what)
        if not one.running and not one.waiting and one in driven:
            driven.remove(one)
            cluster.counts["jobs given up"] += len(one.failures)
            if one.failures and len(cluster.done) < len(jobs):
                begin()


def _let_go(cluster: Cluster, outcome: Outcome) -> None:
    """A piece that a worker had is done, or others may have it."""
    if outcome.owns:
        cluster.owned.discard(outcome.job.id)
        if outcome.error is None:
            cluster.counts["done twice"] += outcome.job.id in cluster.done
            cluster.done.add(outcome.job.id)


def expected(cluster: Cluster, jobs: list[Unit], workers: int) -> float:
    """Seconds if no worker ever waited: a job of T seconds in pieces of c between states, with a worker lost every M
    seconds on average, and one in its place after R, takes (M + R) (exp(c/M) - 1) T/c."""
    inflated = (cluster.mtbf + cluster.boot) * math.expm1(cluster.state / cluster.mtbf) / cluster.state
    return sum(map(cluster.seconds, jobs)) * inflated / workers


def main() -> None:
    """Plan, simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--board", default="digits-all")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--sweeps", type=int, nargs="*", default=[1])
    parser.add_argument("--train", type=float, default=0.1, help="hours of a training")
    parser.add_argument("--predict", type=float, default=0.005, help="hours of a run")
    parser.add_argument("--mtbf", type=float, nargs="*", default=[1e9, 24.0, 1.0], help="hours until a worker is lost")
    parser.add_argument("--state", type=float, default=0.02, help="hours between states to resume from")
    parser.add_argument("--boot", type=float, default=0.05, help="hours until a worker is replaced")
    asked = parser.parse_args()
    sweep.log.disabled = True
    with tempfile.TemporaryDirectory() as folder:
        plan, store = make_plan(rules(asked.board, trials=asked.trials, draws=asked.draws)), Store(Path(folder))
        jobs = units_of(plan, todo(plan, store))
        print(f"{len(plan.runs):,} runs of {len(jobs):,} trainings, {asked.workers:,} workers", flush=True)
        for sweeps, mtbf in itertools.product(asked.sweeps, asked.mtbf):
            hours = (3600 * value for value in (asked.train, asked.predict, mtbf, asked.state, asked.boot))
            cluster = Cluster(*hours, np.random.default_rng(0))
            sweep.time = Clock(cluster)  # type: ignore[assignment] # what is put off waits in simulated time
            simulated(plan, jobs, store, sweeps, asked.workers, cluster)
            ideal = expected(cluster, jobs, asked.workers)
            left = len(jobs) - len(cluster.done)
            counted = ", ".join(f"{name} {count:,}" for name, count in sorted(cluster.counts.items()))
            print(
                f"{sweeps:>4} sweeps, a worker lost every {mtbf:g} h: {cluster.now / 3600:.2f} h "
                f"({ideal / 3600:.2f} h if nobody waits), {cluster.lost / 3600:.0f} h of work lost of "
                f"{cluster.useful / 3600:.0f} h, {left} left; {counted}",
                flush=True,
            )


@dataclass
class Clock:
    """Simulated time, as a sweep asks for it."""

    cluster: Cluster

    def monotonic(self) -> float:
        """Seconds."""
        return self.cluster.now


if __name__ == "__main__":
    main()
