"""A program that reads paths from its standard input, in the folder that it is started in, and writes their stamps.

It imports nothing that it would be waited for: see :func:`dgbench.runs.stamps.stamps`.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterable

Stamp = tuple[int, int, int, int]
"""Inode, size in bytes, and when a file was modified and changed, in nanoseconds since 1970: by these a file is known
again. Whoever writes it changes one of them, even where he puts its time back."""
NO_STAMP: Stamp = (0, 0, 0, 0)
"""Of a file that is not there."""
BETWEEN = "\0"
"""Between two paths: none has it."""


def stamp(path: str | os.PathLike[str]) -> Stamp | None:
    """The stamp of a file; None where it is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - many of them
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def in_turn(paths: Iterable[str | bytes]) -> array[int]:
    """The stamps of files, one behind the other: numbers, not objects, as there may be a million files."""
    values = array("Q")
    look, note = os.stat, values.extend
    for path in paths:  # what stamp() does, without calling it half a million times
        try:
            found = look(path)
        except OSError:
            note(NO_STAMP)
        else:
            note((found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return values


if __name__ == "__main__":
    in_turn(sys.stdin.buffer.read().split(BETWEEN.encode())).tofile(sys.stdout.buffer)
