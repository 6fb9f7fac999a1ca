"""Writing files so that they are whole or absent, whatever happens."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dgbench.core.disk import writing
from dgbench.core.locks import clear, workshop

_WORKSHOP = re.compile(r"\.(.+)\.[0-9a-f]{16}")


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
            found = [(entry.path, _WORKSHOP.fullmatch(entry.name)) for entry in entries if entry.name.startswith(".")]
    except FileNotFoundError:  # it has just gone
        return []
    return [Path(path) for path, match in found if match and name in (None, match[1])]


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people: sorted keys, indented, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))
