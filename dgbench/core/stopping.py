"""Being asked to stop by a signal: SIGTERM, or what a scheduler sends before it takes a machine away.

Mostly that ends the work at once, and only what is half-written is cleared away. What works in steps, and can keep what
it has, is asked instead: it comes to the end of its step, keeps that, and ends the work itself.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_asked: int | None = None
"""The signal that came."""
_in_steps = False
"""Whether somebody asks after every step."""


class StoppedError(BaseException):
    """The process was asked to stop. Nothing but ``finally`` should meet it.

    Attributes:
        signal: The number of the signal that asked.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


@contextmanager
def heeding(*signals: int) -> Iterator[None]:
    """Inside, these signals ask to stop; for the main thread of a process.

    Raises:
        StoppedError: one of them came.
    """
    global _asked
    before = {number: signal.signal(number, _ask) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked = None


@contextmanager
def in_steps() -> Iterator[Callable[[], bool]]:
    """Inside, a signal ends nothing; what is given says whether one has come, and is to be asked after every step.

    Raises:
        StoppedError: at the end of the block, where one has come.
    """
    global _in_steps
    _in_steps = True
    try:
        yield lambda: _asked is not None
    finally:
        _in_steps = False
        if _asked is not None:
            raise StoppedError(_asked)


def _ask(number: int, frame: FrameType | None) -> None:
    global _asked
    first, _asked = _asked is None, number
    if first and not _in_steps:  # a second one must not cut clearing away short
        raise StoppedError(number)
