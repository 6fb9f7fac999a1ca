"""Writing files so that they are whole or absent, whatever happens."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dgbench.core.disk import WORKSHOP, writing
from dgbench.core.locks import clear, workshop

_NOT_PLAIN = "it is no plain file"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file of the same name elsewhere; it becomes ``path``, flushed to disk, when the block ends without an error.

    It lies in a folder of its own beside ``path``: what writes a file may make others beside it. What a killed process
    left of the same file is cleared away.

    Raises:
        DiskError: nothing can be written there.
    """
    with writing(path), _whole(path) as temporary:
        yield temporary


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    if path.is_dir():  # before its name is used: the folder that one is in has none
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in workshops(path.parent, path.name):
        clear(left)
    folder = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with workshop(folder):
        temporary = folder / path.name
        temporary.touch()
        mode = temporary.stat().st_mode  # others may read what the user's umask lets them, whoever writes the file
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder elsewhere; it becomes ``path`` when the block ends without an error, in place of what was there.

    It lies beside ``path`` until then, and what a killed process left of the same folder is cleared away.

    Raises:
        DiskError: nothing can be written there.
    """
    path = path.absolute()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in workshops(path.parent, path.name):
            clear(left)
        room = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with workshop(room):
            made, before, fresh = room / path.name, room / "before", room / "fresh"
            made.mkdir()
            fresh.touch()
            mode = fresh.stat().st_mode  # as in whole()
            yield made
            for file in made.rglob("*"):
                if file.is_file():
                    file.chmod(mode)
                    with file.open("rb+") as handle:
                        os.fsync(handle.fileno())
            if path.exists():
                path.rename(before)
            try:
                made.rename(path)
            except OSError:
                if before.exists():
                    before.rename(path)
                raise


def workshops(folder: Path, name: str | None = None) -> list[Path]:
    """Where files of a folder are being written, or were when a process was killed; those called ``name`` alone."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.path, WORKSHOP.fullmatch(entry.name)) for entry in entries if entry.name.startswith(".")]
    except FileNotFoundError:  # it has just gone
        return []
    return [Path(path) for path, match in found if match and name in (None, match[1])]


def clear_below(root: Path) -> int:
    """Remove what killed processes left half-written in a folder and all below it; how many things."""
    return sum(clear(left) for folder, _, _ in os.walk(root) for left in workshops(Path(folder)))


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people: sorted keys, indented, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(as_json(content), encoding="utf-8")


def as_json(content: Any) -> str:
    """JSON as :func:`write_json` writes it."""
    return json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    """The same where JSON has a word for it: what is no finite number is None, in whatever it stands."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(finite, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def open_plain(path: Path) -> BinaryIO:
    """A plain file, open for reading; a pipe, to which nobody may ever write, is not waited for.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    file = _opened(path)
    if file is None:
        raise OSError(errno.EINVAL, _NOT_PLAIN, str(path))
    return file


def _opened(path: Path) -> BinaryIO | None:
    """A plain file, open for reading; None of what is none."""
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")  # noqa: PTH123, SIM115 (a descriptor; it is given on)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no plain file, as a pipe that nobody writes to, or no JSON.
    """
    file = _opened(path)
    if file is None:
        raise ValueError(_NOT_PLAIN)
    with file:
        try:
            return json.loads(file.read().decode())
        except RecursionError as error:
            raise ValueError("it is far too deep") from error
