"""Processes without their first seconds, which are imports: they are forked from a process that has done them.

A worker of :class:`dgbench.core.processes.Pool` is a fresh interpreter, as is a program that a test starts. It takes
four seconds of a core to import torch and timm, and a session of tests asks for hundreds. Here each process of a
session has another one beside it that imports them once, computes nothing, and is copied where a worker or a program
(:func:`python`) is asked for. The copy has the pipes, the environment, the working directory, the arguments and the
path that a fresh one would have; from there on it is a process as any other. Tests of pools themselves
(:func:`fresh_workers`), of what is imported, and of what an interpreter is told before it starts have fresh ones.
Copies of one process iterate sets in one order, as fresh interpreters do not: ``tests/runs/test_deterministic.py`` has
one that differs in that.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import io
import json
import os
import runpy
import secrets
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn
from unittest import mock

from dgbench import cli
from dgbench.core import processes, worker
from dgbench.core.worker import receive, send

IMPORTED = (
    "timm", "torch._dynamo", "dgbench.runs.execute", "dgbench.runs.deterministic", "dgbench.runs.keeping",
    "dgbench.data.shifts.arithmetic", "dgbench.data.shifts.artistic", "numpy.ma", "scipy.optimize", "dgbench.api",
)  # fmt: skip
"""What a worker that trains has imported in the end; the second of them, where it does not descend by AdamW, what comes
after them, where it draws views, splits and calibrates. The last is what programs import."""
_START = (
    "import sys; plain = sys.path[:]; sys.path[:] = sys.argv[4:]; import nursery; "
    "nursery.work(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], plain)"
)
_READ_EARLY = ("CUDA_", "HF_", "HOME", "LANG", "LC_", "LD_", "MKL_", "OMP_", "OPENBLAS_", "POLARS_", "PYTHON")
_READ_EARLY += ("PYTORCH_", "TMPDIR", "TORCH", "XDG_")
"""How the names of variables begin that are read when an interpreter starts, or when a library is imported."""
_SET = ("TORCHINDUCTOR_CACHE_DIR", "PYTHONPATH", "PYTHONSAFEPATH", "CUDA_VISIBLE_DEVICES")
"""What a library sets that was imported, and what a copy has as a fresh interpreter would: the last is read when an
accelerator is first asked for."""
_ABOVE = 500
"""Above the numbers of all files that are open."""
_FRESH = processes._Worker.__init__
_ALIVE = 3
"""The number of the file that a program has besides the usual three: its other end is closed when who asked dies."""


@dataclass(frozen=True)
class Birth:
    """What a copy is to have.

    Attributes:
        environment, folder: Its own.
        files: The numbers of its files.
        path: That of a worker, which it is; None of a program.
        arguments: Those of a program, with its own name first.
    """

    environment: dict[str, str]
    folder: str
    files: list[int]
    path: list[str] | None = None
    arguments: list[str] | None = None


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
                said = os.read(self._ended, 8)  # nothing, where the nursery has died before it
                self.returncode = int.from_bytes(said, "little", signed=True) if said else -signal.SIGKILL
        return self.returncode

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.returncode is None and not select.select([self._ended], [], [], 0)[0]:
            os.kill(self.pid, number)


def copy(place: str, birth: Birth, files: Sequence[int]) -> int:
    """The id of a copy that has files of this process under other numbers; the last one hears how it ends."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"\0{place}")
        socket.send_fds(line, [b"."], files)
        with line.makefile("rwb") as pipe:
            send(pipe, json.dumps(asdict(birth)).encode())
            return int.from_bytes(receive(pipe), "little")


class Nursery:
    """The process that is copied: started when it is first asked, and gone with its context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="nursery-")
        self._place = f"dgbench-nursery-{secrets.token_hex(8)}"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(f"\0{self._place}")  # no file: paths of sockets are short
        self._listening.listen(64)
        self._line, self._other = socket.socketpair()
        self._environment = dict(os.environ)  # that of the session: the test that asks first may have another

    def place(self) -> str:
        """Where it listens."""
        with self._lock:
            if self._process is None:
                self._begin()
        return self._place

    def python(self) -> str:
        """A program that does what ``python`` would do, as a copy."""
        place, program = self.place(), Path(self._folder.name, "python")
        if not program.exists():
            launched = Path(__file__).with_name("launched.py")
            command = [sys.executable, "-IS", str(launched), place, str(program)]
            program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
            program.chmod(0o755)
        return str(program) if os.access(program, os.X_OK) else sys.executable  # it lies where nothing may be run

    def _begin(self) -> None:
        path = [str(Path(__file__).parent), *map(os.fspath, sys.path)]
        nothing, passed = subprocess.DEVNULL, [self._other.fileno(), self._listening.fileno()]
        command = [sys.executable, "-P", "-c", _START, *map(str, passed), self._place, *path]
        self._process = subprocess.Popen(command, stdin=nothing, stdout=nothing, pass_fds=passed, env=self._environment)
        self._other.close()
        self._listening.close()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *error: object) -> None:
        for open_ in (self._line, self._other, self._listening):
            open_.close()
        if self._process is not None:
            self._process.wait()
        self._folder.cleanup()


def born(place: str, one: processes._Worker, inherit: Sequence[int]) -> None:
    """Begin a worker as a copy; in place of its ``__init__``."""
    reads, writes = [], []
    for _ in range(3):
        reading, writing = os.pipe()
        reads.append(reading)
        writes.append(writing)
    path = [os.fspath(path) for path in sys.path]
    birth = Birth(dict(os.environ), str(Path.cwd()), [0, 1, 2, *inherit], path)
    pid = copy(place, birth, [reads[0], writes[1], 2, *inherit, writes[2]])
    for file in (reads[0], *writes[1:]):
        os.close(file)
    one.process = Copied(pid, reads[2])  # type: ignore[assignment]  # which does what is asked of the other
    one.requests, one.answers = os.fdopen(writes[0], "wb"), os.fdopen(reads[1], "rb")


def work(line: int, listening: int, place: str, plain: list[str]) -> None:
    """Be copied until nobody can ask for it. A copy ends in here, once it has done its work.

    Args:
        line: A file whose other end is open as long as the session.
        listening: A socket on which copies are asked for.
        place: Its address.
        plain: The path of an interpreter that was told nothing.
    """
    early = _early(os.environ)  # libraries change some of it when they are imported
    for module in (*IMPORTED, *(f"dgbench.cli.{name}" for name in cli._VERBS)):
        importlib.import_module(module)
    assert threading.active_count() == 1, "threads are not copied"
    gc.freeze()  # no copy looks through, and so writes to, what all have
    asked = socket.socket(fileno=listening)
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    heard: dict[int, int] = {}  # by the copies' ids
    while True:
        ready, _, _ = select.select([line, asked, woken], [], [])
        if line in ready:
            return
        if woken in ready:
            os.read(woken, 4096)
            _tell(heard)
        if asked not in ready:
            continue
        with asked.accept()[0] as one, contextlib.suppress(EOFError, OSError):  # who asks may be killed meanwhile
            _, files, _, _ = socket.recv_fds(one, 1, 64)
            with one.makefile("rwb") as pipe, contextlib.ExitStack() as given:
                for file in files:
                    given.callback(os.close, file)
                birth = Birth(**json.loads(receive(pipe)))
                # A worker is always a copy; a program is none, where it would read something else as it begins.
                suits = birth.path is not None or _early(birth.environment) == early
                pid = os.fork() if suits else 0
                if suits and not pid:
                    given.pop_all()
                    break
                if suits:
                    heard[pid] = os.dup(files[-1])
                send(pipe, pid.to_bytes(8, "little"))
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked.close()
    for file in (line, woken, wakes, *heard.values(), files[-1]):
        os.close(file)
    _become(birth, files[:-1])
    _end(partial(_run, birth.arguments, place, plain) if birth.arguments else worker.main)


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    """What an interpreter, or a library, reads of it when it begins."""
    return {name: value for name, value in environment.items() if name.startswith(_READ_EARLY) and name not in _SET}


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


def _become(birth: Birth, files: Sequence[int]) -> None:
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
    sys.path[:] = birth.path or sys.path
    np.random.seed()  # its state would be every copy's; the others begin anew themselves


def _run(arguments: list[str], place: str, plain: list[str]) -> None:
    """What ``python`` does with such arguments, in its main module.

    Workers of the program are copies, too, as is what it starts as ``sys.executable``.
    """
    threading.Thread(target=_end_with, args=(_ALIVE,), daemon=True).start()
    sys.executable, what, *rest = arguments
    at_once = what == "-u"
    if at_once:
        what, *rest = rest
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        file = os.fdopen(number, "wb" if number else "rb", 0 if number and at_once else -1, closefd=False)
        old, by_line = getattr(sys, name), number == 2 or file.isatty()
        new = io.TextIOWrapper(file, old.encoding, old.errors, line_buffering=by_line, write_through=at_once)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    processes._Worker.__init__ = lambda one, inherit: born(place, one, inherit)  # type: ignore[method-assign]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [*filter(None, given), *plain]
    if what == "-m":
        sys.path.insert(0, str(Path.cwd()))
        sys.argv = rest  # whose first becomes the file of the module
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    sys.path.insert(0, "")
    sys.argv = [what, *rest]
    if what == "-c":
        text, name = rest[0], "<string>"
        sys.argv = [what, *rest[1:]]
    elif what == "-":
        text, name = sys.stdin.read(), "<stdin>"
    else:
        text, name = Path(what).read_text("utf-8"), str(Path(what).absolute())
        sys.path[0] = str(Path(name).resolve().parent)
        main.__file__ = name
    exec(compile(text, name, "exec"), main.__dict__)


def _end(work: Callable[[], object]) -> NoReturn:
    """Do what a copy is for and end as an interpreter would, but that nothing of what was copied is taken apart: that
    takes a copy longer than its imports would have."""
    code = 0
    try:
        work()
    except SystemExit as said:
        code = said.code if isinstance(said.code, int) else int(said.code is not None)
        if isinstance(said.code, str):
            print(said.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 (an interpreter says it of all)
        error = sys.exc_info()
        sys.excepthook(*error)
        code = -signal.SIGINT if error[0] is KeyboardInterrupt else 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 120
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)


def _end_with(alive: int) -> None:
    """End when whoever asked has, whatever ended that."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGKILL)


_nurseries: list[Nursery] = []
"""The nursery of this process, where it has one."""


@contextlib.contextmanager
def copied_processes() -> Iterator[None]:
    """Inside, workers of this process are copies; on Linux, as libraries of other systems do not bear it."""
    if sys.platform != "linux":
        yield
        return
    with Nursery() as nursery, contextlib.ExitStack() as patches:
        new = mock.patch.object(processes._Worker, "__init__", lambda one, inherit: born(nursery.place(), one, inherit))
        patches.enter_context(new)
        _nurseries.append(nursery)
        patches.callback(_nurseries.clear)
        yield


@contextlib.contextmanager
def fresh_workers() -> Iterator[None]:
    """Inside, workers are fresh interpreters, as users have them."""
    with mock.patch.object(processes._Worker, "__init__", _FRESH):
        yield


def python() -> str:
    """A program that does what ``python`` would do, as a copy where that can be had.

    It cannot with options of the interpreter's own but ``-u``, and where the environment has something else that is
    read early.
    """
    return _nurseries[0].python() if _nurseries else sys.executable
