"""Locks that the kernel lets go when their holder dies, and that leave no file behind."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether the lock ``path`` is this block's; False where another process or block holds it. Nobody waits.

    The file is there only while the lock is held. One that a killed process left behind is taken like a new one.
    """
    handle = _taken(path, _locked)
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """The lock ``path`` is this block's; whoever comes while another process or block holds it waits."""
    handle = _taken(path, _awaited)
    assert handle is not None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _taken(path: Path, lock: Callable[[int], bool]) -> int | None:
    """A lock as an open file, which is there under its name; None where it cannot be had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)  # a link would make a file elsewhere
        try:
            had = lock(handle)
            if had and names(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # perhaps its holder removed the file between opening and locking: one that nobody else sees
        if not had:
            return None


@contextmanager
def workshop(folder: Path) -> Iterator[None]:
    """Make a folder for the block, and remove it afterwards. If this process is killed, :func:`clear` will.

    Nobody else gives a folder the same name, so it is removed also where a signal comes while it is made.
    """
    handle = None
    try:
        while handle is None:
            handle = _begun(folder)
        yield
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except BaseException:  # a signal, whose own way out of the block it must not cut short
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            if handle is not None:
                os.close(handle)


def _begun(folder: Path) -> int | None:
    """A folder that is made now, open and locked; None where another process took it for one that was left behind."""
    with suppress(FileExistsError):  # exist_ok would fail on a folder that is removed just then
        folder.mkdir()
    handle = _opened(folder)
    if handle is None or (_locked(handle) and names(folder, handle)):
        return handle
    os.close(handle)
    return None


def clear(folder: Path) -> bool:
    """Remove what a killed process left of a :func:`workshop`; False where its process lives."""
    handle = _opened(folder)
    if handle is None:
        return False
    try:
        if not (_locked(handle) and names(folder, handle)):  # cleared by another one, and perhaps begun again
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return True
    finally:
        os.close(handle)


def _opened(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _awaited(handle: int) -> bool:
    fcntl.flock(handle, fcntl.LOCK_EX)
    return True


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def names(path: Path, handle: int) -> bool:
    """Whether the path is still the name of an open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
