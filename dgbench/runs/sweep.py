"""Having workers do the jobs of a plan, here or elsewhere, whatever happens to single ones.

A job starts when those that it needs are done. What another process works on is put off, not done twice. A worker that
dies is replaced, and its job tried once more, or again as long as each time it gets further. What fails takes with it
what needs it, and nothing else; only a disk, or an engine, that takes nothing ends everything.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from dgbench.core.disk import DiskError
from dgbench.core.errors import DGBenchError
from dgbench.core.processes import WorkerDiedError
from dgbench.core.results import Status
from dgbench.launchers import Launcher
from dgbench.launchers.far import RefusedError
from dgbench.runs.failures import Failure, failure, forget, kind, note, status_of, steps_kept
from dgbench.runs.jobs import Job, LostError, Together, Unit, do, unit
from dgbench.runs.notes import Measured, Note, Predicted, Stage, Tell
from dgbench.runs.plan import Plan
from dgbench.runs.progress import Progress
from dgbench.runs.room import Room
from dgbench.runs.shares import Shares
from dgbench.runs.store import BusyError, Kind, Store
from dgbench.runs.tracking import Tracking
from dgbench.train.division import WHOLE, Division

PATIENCE = 0.25
"""Seconds before work that another process has is asked for again; twice as many each time that it has it still."""
LONGEST = 60.0
"""Seconds between two such times, at most."""
WAKE = 0.5
"""Seconds between two looks at what else there is to do while jobs are at work."""
TRIES = 2
"""How many workers may die of a job that gets no further, and how often a piece that is found damaged is done again."""

log = logging.getLogger(__name__)


class Sweep:
    """One way through the jobs of a plan.

    Args:
        plan: Of which they are.
        store: Where what is done is kept.
        launcher: Who does it.
        room: Says which trainings may be at work at once.
        shares: Say how much of an accelerator a job takes.
        progress: Is told what happens.
        tracking: So are the trackers.
        division: What the steps of a training are divided into that is done again.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        launcher: Launcher,
        room: Room,
        shares: Shares,
        progress: Progress,
        tracking: Tracking,
        division: Division = WHOLE,
    ) -> None:
        self.plan = plan
        self.room = room
        self.store = store
        self.launcher = launcher
        self.shares = shares
        self.progress = progress
        self.tracking = tracking
        self.division = division
        self.waiting: deque[Job] = deque()
        self.pending: set[str] = set()
        self.running: dict[Future[float | None], Job] = {}
        self.notes: queue.SimpleQueue[tuple[Job, Note | Measured | Predicted]] = queue.SimpleQueue()
        self.told: dict[str, Counter[Stage]] = {}
        self.deaths: dict[str, tuple[int | None, int]] = {}
        self.put_off: dict[str, tuple[float, float]] = {}
        self.lost: Counter[tuple[Kind, str]] = Counter()
        self.errors: dict[str, tuple[str, str, Status]] = {}
        self.failures: dict[str, Failure] = {}
        self.kinds: set[str] = set()
        self.done: Counter[Stage] = Counter()

    def run(self, jobs: Sequence[Job]) -> None:
        """Do them.

        Raises:
            DiskError: nothing more can be written.
            RefusedError: the launcher's engine takes no jobs.
        """
        self.waiting.extend(jobs)
        # A training that is finished keeps nobody waiting, though runs of it are not.
        self.pending = {job.id for job in jobs if not (isinstance(job, Unit) and job.trained)}
        while self.waiting or self.running:
            self._start()
            self.progress.running(len(self.running))
            if not self.running:
                self._rest()
                continue
            # Waking now and then lets Ctrl-C through: with polars in the process a signal does not end the wait.
            finished, _ = wait(self.running, timeout=WAKE, return_when=FIRST_COMPLETED)
            self._hear()
            for future in finished:
                self._settle(self.running.pop(future), future)

    def _start(self) -> None:
        for _ in range(len(self.waiting)):
            if len(self.running) >= self.launcher.workers:
                break
            job = self.waiting.popleft()
            broken = [need for need in job.needs() if need in self.errors and need in self.pending]
            if broken:
                self._fail_with(job, broken)
            elif not self._may_start(job):
                self.waiting.append(job)
            else:
                self.told[job.id] = Counter()
                share = self.shares.of(job)
                future = self.launcher.submit(do, job, self.store.place, share=share, tell=self._listener(job))
                self.running[future] = job

    def _may_start(self, job: Job) -> bool:
        """Whether all is done that a job needs, there is room for what it looks at and where it would compute, and it
        is not put off."""
        until, _ = self.put_off.get(job.id, (0.0, 0.0))
        if time.monotonic() < until or self.pending.intersection(job.needs()):
            return False
        return self.room.admits(job) and self.launcher.admits(self.shares.of(job))

    def _rest(self) -> None:
        """Sleep where all that could begin is put off; not for long, so that Ctrl-C is met."""
        now = time.monotonic()
        ends = [until for job in self.waiting if (until := self.put_off.get(job.id, (0.0, 0.0))[0]) > now]
        if ends:
            time.sleep(min(WAKE, min(ends) - now))

    def _put_off(self, job: Job) -> None:
        """Leave a job that another process has for a while, and do others meanwhile."""
        _, before = self.put_off.get(job.id, (0.0, PATIENCE / 2))
        seconds = min(2 * before, LONGEST)
        self.put_off[job.id] = time.monotonic() + seconds, seconds
        self.waiting.append(job)

    def _fail_with(self, job: Job, broken: Sequence[str]) -> None:
        """A job whose needs failed: that one of its own trainings diverged is what its hyperparameters do."""
        own = job.training.own() if isinstance(job, Unit) else ()
        diverged = [need for need in broken if need in own and self.errors[need][2] == "diverged"]
        error, trace, _ = self.errors[(diverged or broken)[0]]
        self._fail(job, f"what it builds on failed: {error}", trace, "diverged" if diverged else "failed")

    def _listener(self, job: Job) -> Tell:
        return lambda said: self.notes.put((job, said))

    def _hear(self) -> None:
        """Pass on what workers told; they speak in threads of their own."""
        while not self.notes.empty():
            job, said = self.notes.get()
            if not isinstance(said, Note):
                self.tracking.hear(said.training if isinstance(said, Measured) else job.id, said)
                continue
            self.told[job.id][said.stage] += said.amount  # type: ignore[assignment]
            self.done[said.stage] += said.done
            self.progress.advance(said.stage, said.amount, said.seconds)

    def _settle(self, job: Job, future: Future[float | None]) -> None:
        try:
            self.shares.note(job, future.result())
        except (DiskError, RefusedError):
            raise
        except BusyError:
            self._take_back(job)
            self._put_off(job)
        except LostError as error:
            self._take_back(job)
            self._redo(job, error)
        except WorkerDiedError as error:
            self._take_back(job)
            if self._may_try_again(job):
                log.warning("%s: %s; it is tried once more", self._called(job), error)
                self.waiting.appendleft(job)
            else:
                self._fail(job, f"{error}, and so did the one that tried it before")
        except DGBenchError as error:
            self._take_back(job)
            self._fail(job, str(error), status=status_of(error))
        except Exception as error:  # noqa: BLE001 (somebody else's part may raise anything: the others go on)
            self._take_back(job)
            if status_of(error) == "out of memory" and self.shares.crowded(job):
                log.info("%s found no memory left on an accelerator that it shared, and is done alone", job.id)
                self.waiting.appendleft(job)
                return
            trace = "\n".join(getattr(error, "__notes__", ()))
            self._fail(job, f"{type(error).__name__}: {error}", trace, status_of(error))
        else:
            self.pending.discard(job.id)
            self.room.over(job)
            if isinstance(job, Unit):
                forget(self.store, job.id)
                self.tracking.ended(job.id, "ok")

    def _may_try_again(self, job: Job) -> bool:
        """Whether a job of which a worker died is tried again: not if as many as may died at the same step."""
        kept = steps_kept(self.store, self.plan, job.id) if isinstance(job, Unit) else None
        before, deaths = self.deaths.get(job.id, (None, 0))
        self.deaths[job.id] = kept, 1 if kept != before else deaths + 1
        return self.deaths[job.id][1] < TRIES

    def _redo(self, job: Job, error: LostError) -> None:
        """Have a training that was lost done again before what starts from it; jobs make other pieces themselves."""
        self.lost[error.kind, error.id] += 1
        if self.lost[error.kind, error.id] > TRIES:
            self._fail(job, f"{error.kind} {error.id} is damaged again and again; is the disk sound?")
            return
        self.waiting.append(job)
        if error.kind == "training" and all(other.id != error.id for other in self.waiting):
            self.pending.add(error.id)
            self.waiting.appendleft(unit(self.plan, error.id, trained=True, last=True, division=self.division))

    def _take_back(self, job: Job) -> None:
        """What was told of a job that is not done does not count."""
        for stage, amount in self.told[job.id].items():
            self.progress.advance(stage, -amount, None)

    def _fail(self, job: Job, error: str, trace: str = "", status: Status = "failed") -> None:
        if isinstance(job, Together):  # its units meet the error, each its own, or do without
            log.info("%s failed and is done one by one: %s", job.id, error)
            self.pending.discard(job.id)
            self.room.over(job)
            return
        self.errors[job.id] = (error, trace, status)
        self.room.over(job)
        amounts = job.amounts()
        where = ""
        if isinstance(job, Unit):
            if job.there(self.store):
                self.pending.discard(job.id)  # what builds on it can go on
                self.progress.advance("trainings", amounts.pop("trainings"), None)
            elif job.together:
                amounts["trainings"] = 1
            kept = steps_kept(self.store, self.plan, job.id)
            failed = self.failures[job.id] = failure(self.plan, job.id, error, trace, status, kept)
            path = note(self.store, failed)
            self.tracking.ended(job.id, status, error)
            where = f" (where in the code: {path})" if trace else ""
        if kind(error) not in self.kinds:
            self.kinds.add(kind(error))
            log.error("failed: %s: %s%s", self._called(job), error, where)
        for stage, amount in amounts.items():
            self.progress.fail(stage, amount)

    def _called(self, job: Job) -> str:
        return failure(self.plan, job.id, "").where if isinstance(job, Unit) else job.id
