"""Processes of this machine, each bound to one device; several share a device where its memory allows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from dgbench.core.processes import Pool

T = TypeVar("T")

LEFT_FREE = 0.1
"""Of a device's memory, where several calls share it: what they take differs a little from time to time."""


@dataclass
class _Place:
    """A device, and what is at work there.

    Attributes:
        device: Its name.
        most: Calls at a time, at most.
        pool: Processes that are bound to it.
        calls: At work now.
        taken: Share of its memory that these take.
    """

    device: str
    most: int
    pool: Pool
    calls: int = 0
    taken: float = 0.0

    def admits(self, share: float) -> bool:
        """Whether a call fits beside those that are at work; whatever it takes, it fits on an idle device."""
        return self.calls < self.most and (not share or not self.taken or self.taken + share <= 1 - LEFT_FREE)


class Local:
    """Processes of this machine; fills :class:`dgbench.launchers.Launcher`.

    Args:
        devices: On which they work.
        workers: Processes in all, spread evenly over the devices; where there are fewer, the first devices alone work.
        ready: What each calls before anything else, with its device first.
        arguments: For ``ready``, after the device.
    """

    far: ClassVar[bool] = False

    def __init__(self, devices: Sequence[str], workers: int, ready: Callable[..., object], *arguments: Any) -> None:
        self.kind = devices[0].partition(":")[0]
        self.workers = workers
        used = devices[:workers]
        self._places = []
        for number, device in enumerate(used):
            most = (workers - number - 1) // len(used) + 1
            self._places.append(_Place(device, most, Pool(most, ready, device, *arguments)))
        self._lock = threading.Lock()
        self._pools = ExitStack()

    def admits(self, share: float) -> bool:
        """Whether there is a device with room for such a call."""
        with self._lock:
            return any(place.admits(share) for place in self._places)

    def submit(
        self, function: Callable[..., T], *arguments: Any, share: float = 0.0, tell: Callable[[Any], None] | None = None
    ) -> Future[T]:
        """Have a process call a function, on the device that has least to do of those with room.

        What nobody asked :meth:`admits` for waits there for a process.
        """
        with self._lock:
            fitting = [place for place in self._places if place.admits(share)] or self._places
            place = min(fitting, key=lambda one: (one.taken, one.calls / one.most))
            place.calls += 1
            place.taken += share
        future = place.pool.submit(function, place.device, *arguments, tell=tell)
        future.add_done_callback(lambda _: self._leave(place, share))
        return future

    def _leave(self, place: _Place, share: float) -> None:
        with self._lock:
            place.calls -= 1
            place.taken = place.taken - share if place.calls else 0.0  # so that rounding does not add up

    def __enter__(self) -> Local:
        for place in self._places:
            self._pools.enter_context(place.pool)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for place in self._places:  # all, before any of them is waited for
                place.pool.stop()
        self._pools.__exit__(kind, error, trace)
