"""A call that crosses to a process which an engine has started, perhaps on another machine, and what comes back.

Engines wrap what a function raises in errors of their own, and print what they like. So what crosses is bytes: a
request on the way there, an envelope on the way back, and exceptions in it are the very ones that were raised. Both are
pickles, between a process and those that do its jobs; none is read from a store.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dgbench.core.errors import DGBenchError
from dgbench.core.processes import WorkerDiedError
from dgbench.core.stopping import StoppedError, heeding
from dgbench.core.worker import sendable


class RefusedError(DGBenchError):
    """An engine takes no call at all. Whatever else it is given would be refused as well."""


@dataclass(frozen=True)
class Opening:
    """What a process is told before its first call, so that it finds what whoever planned has found.

    Attributes:
        path: Where Python looks for modules.
        folder: The working directory: ``data/``, ``datasets/`` and the like are below it.
        environment: The variables of dgbench.
        ready: Pickled: what it calls before anything else, with its device first, and the arguments that follow.
    """

    path: tuple[str, ...]
    folder: str
    environment: tuple[tuple[str, str], ...]
    ready: bytes

    @staticmethod
    def here(ready: Callable[..., object], *arguments: Any) -> Opening:
        """As this process is."""
        own = tuple((name, value) for name, value in sorted(os.environ.items()) if name.startswith("DGBENCH_"))
        return Opening(tuple(sys.path), str(Path.cwd()), own, pickle.dumps((ready, arguments)))


@cache
def _open(opening: Opening, device: str) -> None:
    """Once in a process."""
    os.chdir(opening.folder)
    os.environ.update(opening.environment)
    sys.path[:] = opening.path
    ready, arguments = pickle.loads(opening.ready)
    ready(device, *arguments)


def do(opening: Opening, device: str, request: bytes, hear: Callable[[Any], object] = lambda note: None) -> bytes:
    """Do what is asked, in the process that it was sent to.

    Args:
        opening, request: From :class:`Call`.
        device: Where this process computes.
        hear: Is given what the function tells, while it is at work, where the engine has a way for that.

    Returns:
        An envelope: all that was told, and what came of it.

    Raises:
        StoppedError: a signal asked to stop, and what can be gone on with is kept.
    """
    notes: list[Any] = []

    def tell(note: Any) -> None:
        notes.append(note)
        hear(note)

    try:
        with heeding(signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            _open(opening, device)
            function, arguments, tells = pickle.loads(request)
            answer = "answer", function(device, *arguments, **({"tell": tell} if tells else {}))
            return pickle.dumps((notes, *answer))
    except StoppedError:
        raise
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 (whoever asked is told)
        return failed(sendable(error), notes)


def failed(error: Exception, notes: Sequence[Any] = ()) -> bytes:
    """An envelope that says so."""
    return pickle.dumps((notes, "error", error))


def lines(error: Exception) -> list[str]:
    """What an error says, line by line; its name where it says nothing."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return said or [type(error).__name__]


class Call:
    """A call that is on its way.

    Args:
        function, arguments, tell: As for :meth:`dgbench.launchers.Launcher.submit`.

    Attributes:
        request: What is to be sent.
        future: Has what came of it.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], tell: Callable[[Any], None] | None):
        self.request = pickle.dumps((function, arguments, tell is not None))
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()
        self._tell = tell
        self._heard = 0
        self._back = False
        self._lock = threading.Lock()

    def hear(self, note: Any) -> None:
        """Pass on something that was told; notes come in their order."""
        with self._lock:
            if self._tell is not None and not self._back:
                self._heard += 1
                self._tell(note)

    def settle(self, envelope: bytes) -> None:
        """It came back; what was not heard of it yet is told first."""
        notes, kind, value = pickle.loads(envelope)
        with self._lock:
            self._back = True
            for note in notes[self._heard :]:
                assert self._tell is not None
                self._tell(note)
        if kind == "answer":
            self.future.set_result(value)
        else:
            self.future.set_exception(value)

    def lose(self, how: str) -> None:
        """It will not come back."""
        self.fail(WorkerDiedError(how))

    def fail(self, error: Exception) -> None:
        """It could not be sent, or what came back cannot be read."""
        with self._lock:
            self._back = True
        self.future.set_exception(error)
