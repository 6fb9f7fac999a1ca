"""The inside of a worker process of :class:`dgbench.core.processes.Pool`: it does what it reads, and answers.

It ends with its parent, whatever ended that. Ctrl-C is the parent's to handle. On SIGTERM a training comes to the end
of its step and keeps its state; whatever else is half-written is cleared away. What libraries print goes to stderr:
stdout is where the answers go.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import pickle
import queue
import signal
import threading
import time
import traceback
from typing import IO, Any

from dgbench.core.errors import DGBenchError
from dgbench.core.stopping import StoppedError, heeding

GRACE = 20.0
"""Seconds that a worker has to come to the end of a step and keep its state, when it is to stop; most need a moment."""
_LENGTH = 8
"""Bytes that say how long a message is."""


def send(pipe: IO[bytes], message: bytes) -> None:
    """Write a message."""
    pipe.write(len(message).to_bytes(_LENGTH, "little"))
    pipe.write(message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """Read a message.

    Raises:
        EOFError: there is none, or it breaks off.
    """
    length = _exactly(pipe, _LENGTH)
    return _exactly(pipe, int.from_bytes(length, "little"))


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    read = pipe.read(count)
    if len(read) < count:
        raise EOFError
    return read


def main() -> None:
    """Work until the parent is gone, or wants nothing more."""
    atexit.register(gc.freeze)  # it ends in a fifth of a second less where nobody looks for garbage in all that it has
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once nobody wants anything more; a signal wakes it for that
    try:
        with heeding(signal.SIGTERM):
            threading.Thread(target=_read, args=(requests, inbox), daemon=True).start()
            while (request := inbox.get()) is not None:
                _work(request, answers)
        return
    except BrokenPipeError:
        return  # nobody listens any more
    except StoppedError:
        pass  # and gone, with the frames that it holds: a context that it met at its very edge is left only with them
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _read(requests: IO[bytes], inbox: queue.SimpleQueue[bytes | None]) -> None:
    try:
        while True:
            inbox.put(receive(requests))
    except EOFError:
        inbox.put(None)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)  # wakes it from a wait, too
        time.sleep(GRACE)
        os._exit(1)


def _work(request: bytes, answers: IO[bytes]) -> None:
    """Do what is asked, and send notes of how it goes and then what came of it."""

    def say(kind: str, value: Any) -> None:
        send(answers, pickle.dumps((kind, value)))

    try:
        function, arguments, tells = pickle.loads(request)
        notes = {"tell": lambda note: say("note", note)} if tells else {}
        say("answer", function(*arguments, **notes))
    except StoppedError:
        raise
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 (whoever asked is told)
        say("error", sendable(error))


def sendable(error: BaseException) -> Exception:
    """The error with its traceback as a note. What ends a process is to end this call only, so it becomes ordinary."""
    if isinstance(error, Exception):
        error.add_note("".join(traceback.format_exception(error)).rstrip())
        with contextlib.suppress(Exception):  # not every exception can be sent: then its text is
            pickle.loads(pickle.dumps(error))
            return error
    said = DGBenchError(f"{type(error).__name__}: {error}")
    said.add_note("".join(traceback.format_exception(error)).rstrip())
    return said
