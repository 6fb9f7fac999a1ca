"""Walking folders as they lie on real disks: links are followed, but never in a circle, and what is hidden is passed
over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dgbench.core.errors import DataError

State = TypeVar("State")
_LITTER = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
"""Folders that systems leave behind; nothing in them is anybody's data."""


@dataclass(frozen=True)
class Contents:
    """What lies in a folder: names, sorted, without hidden ones.

    Attributes:
        folders: Also those behind links.
        files: Regular ones, also behind links.
        links: Folders that are links.
        broken: Links that lead nowhere.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]
    links: frozenset[str]
    broken: tuple[str, ...]


@dataclass
class Links:
    """Links that are not followed, as paths below the root.

    Attributes:
        broken: They lead nowhere.
        circular: They lead back to a folder that they lie in.
    """

    broken: list[str] = field(default_factory=list)
    circular: list[str] = field(default_factory=list)


def contents(folder: Path) -> Contents:
    """What lies in a folder.

    Raises:
        DataError: it cannot be read.
    """
    folders, files, links, broken = [], [], [], []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if entry.name.startswith(".") or entry.name in _LITTER:
                    continue
                if _leads_nowhere(entry):
                    broken.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.name)
                    links += [entry.name] if entry.is_symlink() else []
                elif entry.is_file():
                    files.append(entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); may you read it?") from error
    return Contents(tuple(sorted(folders)), tuple(sorted(files)), frozenset(links), tuple(sorted(broken)))


def walk(
    root: Path, start: State, enter: Callable[[State, str], State | None], links: Links
) -> Iterator[tuple[str, State, Contents]]:
    """Folders from the root down: their path below it (empty, or with ``/`` at its end), state and contents.

    Args:
        root: Where it starts.
        start: The state of the root.
        enter: The state of a folder, given that of the one above and its name; None keeps out.
        links: Is filled with what is not followed.

    Raises:
        DataError: a folder cannot be read.
    """
    real = Path(os.path.realpath(root))
    pending = [("", start, frozenset(_identity(folder) for folder in (real, *real.parents)))]
    while pending:
        folder, state, above = pending.pop()
        found = contents(root / folder)
        links.broken += [folder + name for name in found.broken]
        yield folder, state, found
        for name in reversed(found.folders):
            inner = enter(state, name)
            if inner is None:
                continue
            identity = _identity(root / folder / name)
            if name in found.links and identity in above:
                links.circular.append(folder + name)
            else:
                pending.append((f"{folder}{name}/", inner, above | {identity}))


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    if not entry.is_symlink():
        return False
    try:
        entry.stat()
    except OSError:  # nothing there, or links in a circle
        return True
    return False


def _identity(folder: Path) -> tuple[int, int]:
    try:
        about = folder.stat()
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); may you read it?") from error
    return about.st_dev, about.st_ino
