"""Freed memory that a process keeps for its next use."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of <malloc.h>
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Have this process keep what it frees, where its C library is glibc; elsewhere nothing is done.

    By default large blocks come from the kernel and go back at once, so a network's activations are fresh pages of
    zeros in every batch. Where one network looks at batch after batch, that was half of the time. The price: the
    process stays as large as it once was.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, _NEVER)
