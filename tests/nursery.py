"""Worker processes without their first seconds, which are imports: they are forked from a process that has done them.

A worker of :class:`dgbench.core.processes.Pool` is a fresh interpreter. It takes four seconds of a core to import torch
and timm, and a session of tests asks for hundreds. Here each process of a session has another one beside it that
imports them once, computes nothing, and is copied where a pool asks for a worker. The copy has the pipes, the
environment, the working directory and the path that a fresh one would have; from there on it is a worker as any other.
Tests of pools themselves (:func:`fresh_workers`), and programs that tests start, have fresh interpreters.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from dgbench.core import processes, worker
from dgbench.core.worker import receive, send

IMPORTED = ("timm", "torch._dynamo", "dgbench.runs.execute", "dgbench.runs.deterministic")
"""What a worker that trains has imported in the end; the second of them, where it does not descend by AdamW."""
_START = "import sys; sys.path[:] = sys.argv[2:]; import nursery; nursery.work(int(sys.argv[1]))"
_ABOVE = 500
"""Above the numbers of all files that are open."""


@dataclass(frozen=True)
class _Birth:
    """What a copy is to have: its environment, its folder, its path, and files under which numbers."""

    environment: dict[str, str]
    folder: str
    path: list[str]
    files: list[int]


class Copied:
    """A worker as its pool sees it, in place of ``subprocess.Popen``: it is the child of another process."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended
        self._lock = threading.Lock()

    def __del__(self) -> None:
        os.close(self._ended)

    def wait(self, timeout: float | None = None) -> int:
        if not select.select([self._ended], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a worker", timeout or 0.0)
        with self._lock:  # several threads may wait
            if self.returncode is None:
                self.returncode = int.from_bytes(os.read(self._ended, 8), "little", signed=True)
        return self.returncode

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.returncode is None and not select.select([self._ended], [], [], 0)[0]:
            os.kill(self.pid, number)


class Nursery:
    """The process that is copied: started when it is first asked, and gone with its context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line, self._other = socket.socketpair()
        self._environment = dict(os.environ)  # that of the session: the test that asks first may have another

    def copy(self, files: Sequence[int], numbers: Sequence[int]) -> int:
        """The id of a copy that has files of this process under other numbers; the last one hears how it ends."""
        birth = _Birth(dict(os.environ), str(Path.cwd()), [os.fspath(path) for path in sys.path], list(numbers))
        with self._lock:
            if self._process is None:
                self._begin()
            socket.send_fds(self._line, [b"."], files)
            with self._line.makefile("rwb") as pipe:
                send(pipe, pickle.dumps(birth))
                return int.from_bytes(receive(pipe), "little")

    def _begin(self) -> None:
        path = [str(Path(__file__).parent), *map(os.fspath, sys.path)]
        nothing, passed = subprocess.DEVNULL, self._other.fileno()
        command = [sys.executable, "-P", "-c", _START, str(passed), *path]
        self._process = subprocess.Popen(
            command, stdin=nothing, stdout=nothing, pass_fds=[passed], env=self._environment
        )
        self._other.close()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *error: object) -> None:
        self._line.close()
        self._other.close()
        if self._process is not None:
            self._process.wait()

    def born(self, one: processes._Worker, inherit: Sequence[int]) -> None:
        """Begin a worker; in place of its ``__init__``."""
        reads, writes = [], []
        for _ in range(3):
            reading, writing = os.pipe()
            reads.append(reading)
            writes.append(writing)
        pid = self.copy([reads[0], writes[1], 2, *inherit, writes[2]], [0, 1, 2, *inherit])
        for file in (reads[0], *writes[1:]):
            os.close(file)
        one.process = Copied(pid, reads[2])  # type: ignore[assignment]  # which does what is asked of the other
        one.requests, one.answers = os.fdopen(writes[0], "wb"), os.fdopen(reads[1], "rb")


def work(line: int) -> None:
    """Be copied until nobody can ask for it. A copy comes back from here as well, once it has done its work."""
    for module in IMPORTED:
        importlib.import_module(module)
    assert threading.active_count() == 1, "threads are not copied"
    gc.freeze()  # no copy looks through, and so writes to, what all have
    asked = socket.socket(fileno=line)
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    heard: dict[int, int] = {}  # by the copies' ids
    while True:
        ready, _, _ = select.select([asked, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _tell(heard)
        if asked not in ready:
            continue
        mark, files, _, _ = socket.recv_fds(asked, 1, 64)
        if not mark:
            return
        with asked.makefile("rwb") as pipe:
            birth = pickle.loads(receive(pipe))
            if pid := os.fork():
                send(pipe, pid.to_bytes(8, "little"))
        if not pid:
            break
        *given, heard[pid] = files
        for file in given:
            os.close(file)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked.close()
    for file in (woken, wakes, *heard.values(), files[-1]):
        os.close(file)
    _become(birth, files[:-1])
    worker.main()


def _tell(heard: dict[int, int]) -> None:
    """Say of each copy that has ended how it did."""
    while heard:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        file = heard.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
            os.write(file, os.waitstatus_to_exitcode(status).to_bytes(8, "little", signed=True))
        os.close(file)


def _become(birth: _Birth, files: Sequence[int]) -> None:
    """Have what a fresh interpreter would have, in place of what was copied."""
    import numpy as np

    above = [fcntl.fcntl(file, fcntl.F_DUPFD, _ABOVE) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(above, birth.files, strict=True):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(birth.environment)
    os.chdir(birth.folder)
    sys.path[:] = birth.path
    np.random.seed()  # its state would be every copy's; the others begin anew themselves


_FRESH = processes._Worker.__init__


@contextlib.contextmanager
def copied_workers() -> Iterator[None]:
    """Inside, workers of this process are copies; on Linux, as libraries of other systems do not bear it."""
    with Nursery() as nursery, contextlib.ExitStack() as patches:
        if sys.platform == "linux":
            new = mock.patch.object(processes._Worker, "__init__", lambda one, inherit: nursery.born(one, inherit))
            patches.enter_context(new)
        yield


@contextlib.contextmanager
def fresh_workers() -> Iterator[None]:
    """Inside, workers are fresh interpreters, as users have them."""
    with mock.patch.object(processes._Worker, "__init__", _FRESH):
        yield
