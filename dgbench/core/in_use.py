"""Files that are being read. Their readers hold shared locks on them, so that nobody takes one away to make room.

The kernel lets such a lock go when the last descriptor is closed: with the file, with the last array that is mapped
from it, or with the process, whatever ended that. No file beside them says anything, so it works where nothing can be
written.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dgbench.core.locks import names

_MANY = 2**17
"""Files that are open at once, at most."""
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


def use(path: Path) -> BinaryIO:
    """A file, open for reading; it is in use until it is closed.

    Raises:
        FileNotFoundError: it is not there, or was taken away just now.
    """
    while True:
        file = path.open("rb")
        try:
            _share(file)
            if names(path, file.fileno()):
                _make_room(file.fileno())
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # another file has its name since it was opened, or none


def _make_room(handle: int) -> None:
    """Where half as many files are open as this process may have, it may have more, as many as the system lets it.

    A file that is in use stays open, and those of a thousand domains under ten families of shifts are thousands.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < 2 * handle:
        most = _MANY if hard == resource.RLIM_INFINITY else min(hard, _MANY)
        if most > soft:
            with suppress(OSError, ValueError):  # some systems allow less than they say
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def mapped(path: Path) -> NDArray[Any]:
    """The array in a ``.npy`` file, memory-mapped and read-only; the file is in use while any part of it is.

    Raises:
        OSError, EOFError, ValueError: there is none, or nothing that can be mapped.
    """
    with use(path) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"it is a .npy file of version {version}")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        # A mapping keeps a copy of the descriptor that it was made from, and so the lock.
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def give_back(array: object) -> None:
    """Give pages that were read back to the system, if they are a mapped file's; it still has them for who reads next.

    While they are mapped, a process is as much larger as the file is long.
    """
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
        array.base.madvise(mmap.MADV_DONTNEED)


@contextmanager
def unused(paths: Iterable[Path]) -> Iterator[bool]:
    """Whether nobody uses any of the files, as far as this user can tell; inside, who wants to waits."""
    with ExitStack() as stack:
        yield all(_excluded(path, stack) for path in paths)


def _excluded(path: Path, stack: ExitStack) -> bool:
    try:
        handle = os.open(path, os.O_RDWR)
        stack.callback(os.close, handle)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno in (*_NO_LOCKS, errno.EROFS, errno.ENOENT):
            return False
        raise
    return names(path, handle)


def _share(file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
    except OSError as error:
        if error.errno not in _NO_LOCKS:  # without locks nothing is ever taken away
            raise
