"""How much memory decoded pictures may take together: a picture waits until there is room for its pixels.

A file of 20 kB may unfold to 169 megapixels, so what is counted is pixels, not files. Every picture that is decoded
passes here, whichever thread asks for it; processes that share a work share one room.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from dgbench.core.errors import DataError

LIMIT = 178_956_970
"""Most pixels of a picture that is read: where Pillow suspects a decompression bomb and refuses, too."""
PIXELS = 192 * 2**20
"""Pixels that are decoded at a time: about a gigabyte, since most pictures take up to 5.3 bytes for each pixel while
they become RGB. Pixels of pictures that take more are counted more than once."""
_UNIT = 2**20
"""Pixels are counted in steps of this; the smallest picture takes one."""


class _Semaphore(Protocol):
    """Of ``threading``, or tokens."""

    def acquire(self) -> bool: ...

    def release(self) -> None: ...


@dataclass(frozen=True)
class _Tokens(AbstractContextManager[bool]):
    """A semaphore for processes: bytes in a pipe that they inherit, as make's job server has them."""

    source: int
    sink: int

    @staticmethod
    def of(count: int) -> _Tokens:
        tokens = _Tokens(*os.pipe())
        os.write(tokens.sink, b"." * count)
        return tokens

    def acquire(self) -> bool:
        return bool(os.read(self.source, 1))

    def release(self) -> None:
        os.write(self.sink, b".")

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


@dataclass(frozen=True)
class Room:
    """Room for the pixels of some pictures.

    Attributes:
        gate: Whoever waits for room holds it, so that a large picture is not passed by small ones for ever, and two
            that have half of what they need never wait for each other.
        units: As many as are free.
        total: How many there are.
    """

    gate: AbstractContextManager[object]
    units: _Semaphore
    total: int

    @staticmethod
    def of(pixels: int) -> Room:
        """An empty room for the threads of this process."""
        total = max(1, pixels // _UNIT)
        return Room(threading.Lock(), threading.Semaphore(total), total)

    @staticmethod
    def shared(pixels: int) -> Room:
        """An empty room for processes that inherit its :meth:`pipes`. Close it."""
        total = max(1, pixels // _UNIT)
        return Room(_Tokens.of(1), _Tokens.of(total), total)

    def pipes(self) -> tuple[int, ...]:
        """File descriptors that processes must have to share the room."""
        tokens = (kept for kept in (self.gate, self.units) if isinstance(kept, _Tokens))
        return tuple(end for kept in tokens for end in (kept.source, kept.sink))

    def close(self) -> None:
        """Let go of the pipes."""
        for end in self.pipes():
            os.close(end)

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Wait for room, and keep it while the block runs; a picture that is larger than the room has it alone.

        Not to be entered twice by one thread.
        """
        needed, held = min(self.total, max(1, -(-pixels // _UNIT))), 0
        try:
            with self.gate:
                while held < needed:
                    self.units.acquire()
                    held += 1
            yield
        finally:
            for _ in range(held):
                self.units.release()


_room = Room.of(PIXELS)


def share(room: Room) -> None:
    """Have this process decode in a room that it shares with others."""
    global _room
    _room = room


@contextmanager
def in_flight(width: int, height: int, name: str, weight: int = 1) -> Iterator[None]:
    """Room for a picture while the block runs.

    Args:
        width, height: Of the picture, in pixels.
        name: What errors call it.
        weight: How often each pixel counts: once for 5.3 bytes.

    Raises:
        DataError: the picture is larger than any that is read.
    """
    if width * height > LIMIT:
        raise DataError(
            f"{name} has {width} x {height} pixels; dgbench reads pictures of up to {LIMIT // 10**6} megapixels: make "
            "it smaller, or take it out of the dataset"
        )
    with _room.hold(weight * width * height):
        yield
