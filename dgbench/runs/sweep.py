"""Having a pool of workers do the jobs of a plan, whatever happens to single ones.

A job starts when those that it needs are done. What another process works on is put off, not done twice. A worker that
dies is replaced, and its job tried once more. What fails takes with it what needs it, and nothing else; only a disk
that takes nothing more ends everything.
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
from dgbench.core.processes import Pool, WorkerDiedError
from dgbench.core.results import Status
from dgbench.runs.failures import Failure, failure, forget, kind, note, status_of, steps_kept
from dgbench.runs.jobs import Job, LostError, Together, Unit, do, unit
from dgbench.runs.notes import Measured, Note, Predicted, Stage, Tell
from dgbench.runs.plan import Plan
from dgbench.runs.progress import Progress
from dgbench.runs.room import Room
from dgbench.runs.store import BusyError, Kind, Store
from dgbench.runs.tracking import Tracking

PATIENCE = 0.25
"""Seconds to wait before asking again for work that another process has."""
WAKE = 0.5
"""Seconds between two looks at what else there is to do while jobs are at work."""
TRIES = 2
"""How many workers may die of a job, and how often a piece that is found damaged is done again."""

log = logging.getLogger(__name__)


class Sweep:
    """One way through the jobs of a plan.

    Args:
        plan: Of which they are.
        store: Where what is done is kept.
        pool: Who does it.
        room: Says which trainings may be at work at once.
        workers: How many jobs it is given at a time.
        device: Where networks run.
        progress: Is told what happens.
        tracking: So are the trackers.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        pool: Pool,
        room: Room,
        workers: int,
        device: str,
        progress: Progress,
        tracking: Tracking,
    ) -> None:
        self.plan = plan
        self.room = room
        self.store = store
        self.pool = pool
        self.workers = workers
        self.device = device
        self.progress = progress
        self.tracking = tracking
        self.waiting: deque[Job] = deque()
        self.pending: set[str] = set()
        self.running: dict[Future[None], Job] = {}
        self.notes: queue.SimpleQueue[tuple[Job, Note | Measured | Predicted]] = queue.SimpleQueue()
        self.told: dict[str, Counter[Stage]] = {}
        self.deaths: Counter[str] = Counter()
        self.lost: Counter[tuple[Kind, str]] = Counter()
        self.errors: dict[str, tuple[str, str, Status]] = {}
        self.failures: dict[str, Failure] = {}
        self.kinds: set[str] = set()
        self.done: Counter[Stage] = Counter()

    def run(self, jobs: Sequence[Job]) -> None:
        """Do them.

        Raises:
            DiskError: nothing more can be written.
        """
        self.waiting.extend(jobs)
        # A training that is finished keeps nobody waiting, though runs of it are not.
        self.pending = {job.id for job in jobs if not (isinstance(job, Unit) and job.trained)}
        while self.waiting or self.running:
            self._start()
            self.progress.running(len(self.running))
            if not self.running:
                continue
            # Waking now and then lets Ctrl-C through: with polars in the process a signal does not end the wait.
            finished, _ = wait(self.running, timeout=WAKE, return_when=FIRST_COMPLETED)
            self._hear()
            for future in finished:
                self._settle(self.running.pop(future), future)

    def _start(self) -> None:
        for _ in range(len(self.waiting)):
            if len(self.running) >= self.workers:
                break
            job = self.waiting.popleft()
            broken = [need for need in job.needs() if need in self.errors and need in self.pending]
            if broken:
                self._fail_with(job, broken)
            elif self.pending.intersection(job.needs()) or not self.room.admits(job):
                self.waiting.append(job)
            else:
                self.told[job.id] = Counter()
                future = self.pool.submit(do, job, self.store.root, self.device, tell=self._listener(job))
                self.running[future] = job

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

    def _settle(self, job: Job, future: Future[None]) -> None:
        try:
            future.result()
        except DiskError:
            raise
        except BusyError:
            self._take_back(job)
            self.waiting.append(job)
            time.sleep(PATIENCE)
        except LostError as error:
            self._take_back(job)
            self._redo(job, error)
        except WorkerDiedError as error:
            self._take_back(job)
            self.deaths[job.id] += 1
            if self.deaths[job.id] < TRIES:
                log.warning("%s: %s; it is tried once more", self._called(job), error)
                self.waiting.appendleft(job)
            else:
                self._fail(job, f"{error}, and so did the one that tried it before")
        except DGBenchError as error:
            self._take_back(job)
            self._fail(job, str(error), status=status_of(error))
        except Exception as error:  # noqa: BLE001 (somebody else's part may raise anything: the others go on)
            self._take_back(job)
            trace = "\n".join(getattr(error, "__notes__", ()))
            self._fail(job, f"{type(error).__name__}: {error}", trace, status_of(error))
        else:
            self.pending.discard(job.id)
            self.room.over(job)
            if isinstance(job, Unit):
                forget(self.store, job.id)
                self.tracking.ended(job.id, "ok")

    def _redo(self, job: Job, error: LostError) -> None:
        """Have a training that was lost done again before what starts from it; jobs make other pieces themselves."""
        self.lost[error.kind, error.id] += 1
        if self.lost[error.kind, error.id] > TRIES:
            self._fail(job, f"{error.kind} {error.id} is damaged again and again; is the disk sound?")
            return
        self.waiting.append(job)
        if error.kind == "training" and all(other.id != error.id for other in self.waiting):
            self.pending.add(error.id)
            self.waiting.appendleft(unit(self.plan, error.id, trained=True, last=True))

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
