"""Jobs of Slurm, through submitit: what is ready at one moment is one array.

A job that Slurm takes back, or that comes to its time limit, is signalled, keeps the last step of its training, and is
put into the queue again by submitit; it goes on from there. An array that Slurm refuses, as where a limit of jobs is
reached or its controller is busy, is handed over again, in smaller arrays and ever more rarely. Nothing tells how far
jobs are while they run: what was told comes back with what came of a job, so bars move when jobs end.

What crosses are pickles, in the folder of :class:`Options`, which is nobody else's to write to; never in a store.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, TypeVar

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError, UncompletedJobError

from dgbench.core.disk import disk_trouble
from dgbench.core.errors import DGBenchError
from dgbench.core.stopping import StoppedError
from dgbench.core.units import Count, Positive
from dgbench.core.worker import GRACE
from dgbench.launchers.far import Call, Opening, RefusedError, do, lines

T = TypeVar("T")

QUEUED = 100
"""Jobs that are in the queue at a time, by default."""
GATHER = 0.2
"""Seconds in which what is ready comes together as one array."""
LOOK = 1.0
"""Seconds between two looks at which jobs are over."""
AGAIN = 10.0
"""Seconds before what Slurm refused is handed over again; twice as many each time that it refuses it still."""
RARELY = 600.0
"""Seconds between two such times, at most."""
TIMEOUTS = 1000
"""How often a job may come to its time limit and go on: each time it has got further."""
STOPPED = 143
"""The exit code of a job that was asked to stop by SIGTERM: give it to whatever starts jobs again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What can be said to the launcher.

    Attributes:
        folder: Where submitit keeps scripts, pickles and logs of jobs, on a disk that all nodes see.
        partition, account, qos, constraint, gres: As for ``sbatch``.
        time: Minutes that a job may take; one that takes longer goes on in the next.
        cpus: CPUs of a job.
        memory_gb: Memory of a job, in GB.
        notice: Seconds before its time limit at which a job is signalled.
        parallel: Jobs of an array that run at a time, at most.
        cluster: ``slurm``, or ``local`` for processes of this machine, to try it.

    Raises:
        DGBenchError: a job would be signalled before it has begun.
    """

    folder: str = "slurm-jobs"
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    time: Count = 240
    cpus: Count = 1
    memory_gb: Positive | None = None
    notice: Count = 90
    parallel: Count = 256
    cluster: Literal["slurm", "local"] = "slurm"

    def __post_init__(self) -> None:
        if self.notice >= 60 * self.time:
            raise DGBenchError(
                f"option 'notice' of the launcher 'slurm': {self.notice} seconds before its time limit a job of "
                f"{self.time} minutes has not begun; say fewer, or more minutes ('time')"
            )

    def parameters(self, gpus: int) -> dict[str, Any]:
        """As submitit calls them."""
        own = ("partition", "account", "qos", "constraint", "gres")
        said = {f"slurm_{name}": getattr(self, name) for name in own if getattr(self, name) is not None}
        memory = {} if self.memory_gb is None else {"mem_gb": self.memory_gb}
        return {
            "name": "dgbench",
            "timeout_min": self.time,
            "cpus_per_task": self.cpus,
            "gpus_per_node": gpus,
            "slurm_signal_delay_s": self.notice,
            "slurm_array_parallelism": self.parallel,
            **memory,
            **said,
        }


class _Job:
    """A call, as a job does it; submitit starts it anew, with the same request, where it was put into the queue again.

    Args:
        opening, device, request: As for :func:`dgbench.launchers.far.do`.
    """

    def __init__(self, opening: Opening, device: str, request: bytes) -> None:
        self.opening, self.device, self.request = opening, device, request

    def __call__(self) -> bytes:
        requeues = signal.getsignal(signal.SIGUSR2)
        try:
            return do(self.opening, self.device, self.request)
        except StoppedError as stop:
            if stop.signal == signal.SIGUSR2 and callable(requeues):
                requeues(stop.signal, None)  # only now, since all is kept: it ends the process
            raise SystemExit(STOPPED) from None

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What is put into the queue again."""
        return submitit.helpers.DelayedSubmission(_Job(self.opening, self.device, self.request))


class Slurm:
    """Jobs of Slurm; fills :class:`dgbench.launchers.Launcher`.

    A job has a GPU to itself, or none: how cards are shared is for a site to say (``gres``).

    Args:
        device: ``cuda`` for one GPU a job, or ``cpu``. This machine cannot tell what nodes have: ``auto`` is refused.
        workers: Jobs in the queue at a time.
        options: What was said.
        ready: What a job calls before anything else, with its device first.
        arguments: For ``ready``, after the device.

    Raises:
        DGBenchError: no such device can be asked for, or this machine has no Slurm.
    """

    far: ClassVar[bool] = True

    def __init__(
        self, device: str, workers: int | None, options: Options, ready: Callable[..., object], *arguments: Any
    ) -> None:
        if device not in ("cpu", "cuda"):
            raise DGBenchError(
                f"device: of Slurm's nodes this machine knows nothing, and '{device}' does not say what to ask for; "
                "say 'cuda' for one GPU a job, or 'cpu' (--device)"
            )
        self.kind = device
        self.workers = workers or QUEUED
        self._folder = Path(options.folder).absolute()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._executor = submitit.AutoExecutor(self._folder / "%j", options.cluster, slurm_max_num_timeout=TIMEOUTS)
            self._executor.update_parameters(**options.parameters(int(device == "cuda")))
        except RuntimeError as error:
            raise DGBenchError(f"the launcher 'slurm' cannot begin: {error}") from error
        self._opening = Opening.here(ready, *arguments)
        self._ready: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._waiting: list[Call] = []
        self._most, self._pause, self._again = self.workers, 0.0, 0.0
        self._taken = False
        self._jobs: dict[Any, Call] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="slurm", daemon=True)

    def admits(self, share: float) -> bool:
        """Slurm keeps what waits."""
        return True

    def submit(
        self, function: Callable[..., T], *arguments: Any, share: float = 0.0, tell: Callable[[Any], None] | None = None
    ) -> Future[T]:
        """Have a job call a function; the share that it takes of its GPU is nobody else's concern."""
        call = Call(function, arguments, tell)
        self._ready.put(call)
        return call.future

    def _follow(self) -> None:
        """Hand over what is ready, and look which jobs are over, until nothing more is to come."""
        while not self._over.wait(LOOK if self._jobs and self._ready.empty() else GATHER):
            try:
                self._go_on()
            except Exception as error:  # noqa: BLE001 (nobody waits for ever, whatever it is)
                self._waiting += self._jobs.values()
                self._fail(len(self._waiting), error)
                self._cancel()

    def _go_on(self) -> None:
        self._waiting += self._gathered()
        if self._waiting and time.monotonic() >= self._again:
            self._hand_over()
        for job, call in list(self._jobs.items()):
            if self._settled(job, call):
                del self._jobs[job]

    def _hand_over(self) -> None:
        calls = self._waiting[: self._most]
        try:
            with self._executor.batch():
                jobs = [self._executor.submit(_Job(self._opening, self.kind, call.request)) for call in calls]
        except (FailedSubmissionError, FailedJobError) as error:  # FailedJobError is what sbatch says and ends with
            self._refused(len(calls), error)
        except Exception as error:  # noqa: BLE001 (whatever it is, whoever waits is told)
            self._fail(len(calls), disk_trouble(error, [self._folder]) or error)
        else:
            del self._waiting[: len(calls)]
            self._jobs |= dict(zip(jobs, calls, strict=True))
            self._taken, self._most, self._pause = True, min(2 * self._most, self.workers), 0.0

    def _refused(self, count: int, error: Exception) -> None:
        """So many calls are handed over again, fewer at a time; where none was ever taken, not even one, they fail."""
        self._most = max(1, count // 2)
        if self._taken:
            if not self._pause:
                log.warning("Slurm refuses jobs (%s); they wait, and are handed over again", lines(error)[-1])
            self._pause = min(2 * self._pause or AGAIN, RARELY)
            self._again = time.monotonic() + self._pause
        elif count == 1:
            self._fail(len(self._waiting), RefusedError(f"Slurm takes no job: {lines(error)[-1]}"))

    def _fail(self, count: int, error: Exception) -> None:
        """The first calls that wait."""
        for call in self._waiting[:count]:
            call.fail(error)
        del self._waiting[:count]

    def _gathered(self) -> Iterator[Call]:
        with suppress(queue.Empty):
            while True:
                yield self._ready.get_nowait()

    def _settled(self, job: Any, call: Call) -> bool:
        """Whether a job is over, and its call has what came of it."""
        try:
            if not job.done():
                return False
            call.settle(job.result())
        except UncompletedJobError as error:
            call.lose(f"is lost (job {job.job_id}: {lines(error)[-1]}; its log: {job.paths.stderr})")
        except Exception as error:  # noqa: BLE001 (whatever it is, whoever waits is told)
            call.fail(error)
        return True

    def _cancel(self) -> None:
        """Nothing goes on unattended; what jobs have is kept."""
        for job in self._jobs:
            with suppress(OSError):  # where not even that can be started, they end at their time limit
                job.cancel(check=False)
        self._jobs.clear()

    def __enter__(self) -> Slurm:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while kind is None and self._thread.is_alive() and (self._jobs or self._waiting or not self._ready.empty()):
            self._thread.join(LOOK)
        self._over.set()
        self._thread.join(GRACE)
        self._cancel()
