"""The memory of a process: how much it has taken, and what it keeps for its next use of what it freed.

It keeps some where its C library is glibc; elsewhere nothing is done. By default glibc has large blocks come from the
kernel, and go back at once, so a network's activations are fresh pages of zeros in every batch. Where a network only
looks at batch after batch that was half of the time, and little memory is at stake: what was freed is kept then. A
training step takes far longer on its pages and holds all its activations at once; kept, they would lie in pieces that
nothing larger fits into, and a process needs half as much again.
"""

from __future__ import annotations

import ctypes
import platform
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of <malloc.h>
_NEVER = 2**31 - 1
_LARGE = 2**25
"""Bytes of a large block: the most that glibc lets it be."""
_MAPPED = 2**16
"""How many blocks may come from the kernel at a time, as by default."""


def keep_freed_memory() -> None:
    """Have this process keep what it frees, but for large blocks."""
    _set({_TRIM_THRESHOLD: _NEVER, _MMAP_THRESHOLD: _LARGE})


@contextmanager
def keeping_large_blocks() -> Iterator[None]:
    """Have this process keep large blocks, too; afterwards what nobody uses goes back."""
    _set({_MMAP_MAX: 0})
    try:
        yield
    finally:
        _set({_MMAP_MAX: _MAPPED})
        if _glibc():
            ctypes.CDLL(None).malloc_trim(0)


def most_resident() -> int:
    """The most bytes that were resident of this process so far.

    Linux counts in ``ru_maxrss`` also what the process that started this one had taken by then, so it is not asked.
    """
    if sys.platform == "linux":
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
        if found:
            return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"


def _set(options: dict[int, int]) -> None:
    if _glibc():
        for option, value in options.items():
            ctypes.CDLL(None).mallopt(option, value)
