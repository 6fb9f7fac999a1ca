"""A pool of worker processes, which know nothing of the program that starts them.

Python's own pools import the caller's ``__main__`` again in every worker they spawn, so they work in no script without
a guard, nor from standard input. Here a worker is a plain interpreter with its parent's ``sys.path`` that imports what
it is asked to do (``dgbench.core.worker``). One that dies takes nothing with it but the call it was busy with: the next
call has a new one.

What travels are pickles, through pipes between a process and its own children; none is read from anywhere else.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

from dgbench.core.errors import DGBenchError
from dgbench.core.worker import GRACE, receive, send

T = TypeVar("T")

_START = "import sys; sys.path[:] = sys.argv[1:]; from dgbench.core.worker import main; main()"


class WorkerDiedError(DGBenchError):
    """A worker process ended, or is out of reach, before it had done what it was asked to do."""

    def __init__(self, how: str) -> None:
        super().__init__(f"the worker process {how}")
        self.how = how

    def __reduce__(self) -> tuple[type[WorkerDiedError], tuple[str]]:
        return WorkerDiedError, (self.how,)  # as it is, so that it can come from another process


class Pool:
    """At most so many processes that do what they are asked to; use it as a context.

    Where the block is left by an exception, workers stop at once; else they finish what they were asked.

    Args:
        workers: How many.
        ready: What a worker calls before anything else.
        arguments: For ``ready``; sent once to each worker.
        inherit: File descriptors that workers have under the same numbers.
    """

    def __init__(
        self, workers: int, ready: Callable[..., object], *arguments: Any, inherit: Sequence[int] = ()
    ) -> None:
        self._inherit = inherit
        self._opening = pickle.dumps((ready, arguments, False))
        self._threads = ThreadPoolExecutor(workers, "pool")
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._deadline: float | None = None

    def submit(
        self, function: Callable[..., T], *arguments: Any, tell: Callable[[Any], None] | None = None
    ) -> Future[T]:
        """Have a worker call a function of some module.

        Args:
            function: What is called. Its exceptions become the future's.
            arguments: For the function.
            tell: Is called, in some thread, with everything that the function gives to its argument of the same name,
                which it has only then.

        Returns:
            What the function returns, or ``WorkerDiedError``.
        """
        return self._threads.submit(self._ask, function, arguments, tell)

    def _ask(self, function: Callable[..., T], arguments: tuple[Any, ...], tell: Callable[[Any], None] | None) -> T:
        request = pickle.dumps((function, arguments, tell is not None))
        worker = self._idle_worker()
        try:
            answer: T = worker.ask(request, tell)
        finally:  # a job may fail because another process died than the one that answers
            if worker.process.returncode is None:
                self._idle.append(worker)
            else:
                self._workers.remove(worker)
        return answer

    def _idle_worker(self) -> _Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._deadline is not None:
                raise WorkerDiedError(_ended(-signal.SIGTERM))
            worker = _Worker(self._inherit)
            self._workers.append(worker)
        try:
            worker.ask(self._opening)
        except BaseException:  # nobody will ask it anything
            self._workers.remove(worker)
            worker.end(time.monotonic() + GRACE)
            raise
        return worker

    def stop(self) -> None:
        """Ask workers to stop at once, if nobody did; leaving the block waits for them."""
        with self._lock:
            if self._deadline is None:
                self._deadline = time.monotonic() + GRACE
                for worker in list(self._workers):
                    worker.process.terminate()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop()
            assert self._deadline is not None
            for worker in list(self._workers):
                worker.end(self._deadline)
        self._threads.shutdown(cancel_futures=kind is not None)
        for worker in self._workers:
            worker.end(time.monotonic() + GRACE)


class _Worker:
    """A process at the other end of two pipes."""

    def __init__(self, inherit: Sequence[int]) -> None:
        command = [sys.executable, "-P", "-c", _START, *map(os.fspath, sys.path)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, pass_fds=inherit)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.answers = self.process.stdin, self.process.stdout

    def ask(self, request: bytes, tell: Callable[[Any], None] | None = None) -> Any:
        """The answer to a request."""
        self._through(send, self.requests, request)
        while True:
            kind, value = pickle.loads(self._through(receive, self.answers))
            if kind == "error":
                raise value  # whatever it is, also what would mean of a pipe that its other end is gone
            if kind == "answer":
                return value
            assert tell is not None
            tell(value)

    def _through(self, pass_on: Callable[..., T], *arguments: Any) -> T:
        """What passes through a pipe, while there is somebody at its other end."""
        try:
            return pass_on(*arguments)
        except (BrokenPipeError, EOFError):
            raise WorkerDiedError(_ended(self.process.wait())) from None

    def end(self, deadline: float) -> None:
        """Have it end: a worker that nobody can ask anything leaves of itself."""
        with contextlib.suppress(BrokenPipeError):  # what was not sent yet is not wanted any more
            self.requests.close()
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.answers.close()


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ended(returncode: int) -> str:
    """How a process ended."""
    if returncode >= 0:
        return f"ended itself with exit code {returncode}"
    memory = " (as happens where memory runs out)" if returncode == -signal.SIGKILL else ""
    return f"was ended by {_signal(-returncode)}{memory}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
