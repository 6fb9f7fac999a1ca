"""Seals: what a folder of work holds, file by file, so that damage is seen, and named, before it is used.

A seal is a JSON file that is written last. ``files`` lists every other file of the folder with its size and SHA-256,
``sha256`` is that of everything else in the seal, and the rest is what the work notes about itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from dgbench.core.errors import DamagedError
from dgbench.core.files import read_json, write_json
from dgbench.core.spec import canonical

DONE = "done.json"
"""The seal of finished work."""
MIDWAY = "state/last.json"
"""The seal of a training that was stopped midway and can go on."""

_PART = r"(?!\.\.?(?:/|$))[^/\x00-\x1f\x7f]{1,255}"
_INSIDE = re.compile(rf"{_PART}(?:/{_PART}){{0,9}}")
"""The path of a file that lies in the folder, whatever stands in the seal."""
_SHA256 = re.compile("[0-9a-f]{64}")
Files = dict[str, list[Any]]
"""Size in bytes and SHA-256 of each file, by its path in the folder."""

Fetch = Callable[[Path, str, list[Any]], None]
"""Has a file of a folder be what its size and SHA-256 say, if that is to be had elsewhere."""
_fetches: dict[Path, Fetch] = {}


def copied_from(root: Path, fetch: Fetch) -> None:
    """Say that the folders of work in ``root/*`` are copies: a file that is not what was written is fetched."""
    _fetches[root] = fetch


def inventory(folder: Path, known: Files | None = None) -> Files:
    """Every finished file of a folder but the state to resume from; those that are ``known`` are not hashed again."""
    found: Files = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "state")
        for name in sorted(names):
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if relative != DONE:
                found[relative] = (known or {}).get(relative) or described(path)
    return found


def described(path: Path) -> list[Any]:
    """Size in bytes and SHA-256 of a file."""
    return [path.stat().st_size, sha256(path)]


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that carries its own SHA-256."""
    write_json(path, with_digest(content))


def with_digest(content: dict[str, Any]) -> dict[str, Any]:
    """What :func:`write_sealed` writes."""
    return content | {"sha256": _digest(content)}


def read_sealed(path: Path) -> dict[str, Any]:
    """The reverse of :func:`write_sealed`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not what was written.
    """
    return sealed_content(read_json(path))


def sealed_content(content: Any) -> dict[str, Any]:
    """What was sealed, of the content of a file that :func:`write_sealed` wrote; raises ValueError where it differs."""
    if not isinstance(content, dict) or content.pop("sha256", None) != _digest(content):
        raise ValueError("its content is not what was written")
    return content


def recalled(path: Path) -> dict[str, Any]:
    """As :func:`read_sealed`; each process reads a file once, unless it changes. Do not change what is given."""
    stat = path.stat()
    return _recalled(path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@lru_cache(maxsize=64)
def _recalled(path: Path, *_: int) -> dict[str, Any]:
    return read_sealed(path)


def seal(folder: Path, note: dict[str, Any], files: Files | None = None, name: str = DONE) -> None:
    """Say that the work in a folder is whole: list its files, and what it notes about itself."""
    write_sealed(folder / name, {**note, "files": inventory(folder) if files is None else files})


def sealed(folder: Path, name: str = DONE) -> dict[str, Any] | None:
    """The seal of a folder whose files are there with their sizes; None where there is none.

    Raises:
        DamagedError: the seal is not what was written, or a file is missing or of another size.
    """
    try:
        content = read_sealed(folder / name)
        files = _listed(content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedError(folder, name, f"is damaged ({error})") from error
    for file, (size, _) in files.items():
        try:
            found = os.stat(os.path.join(folder, file))  # noqa: PTH118, PTH116 - thousands of them are looked at
        except OSError as error:
            if not (folder / name).exists():  # the whole folder was taken away meanwhile
                return None
            raise DamagedError(folder, file, f"is missing ({error.strerror})") from error
        if not stat.S_ISREG(found.st_mode):
            raise DamagedError(folder, file, "is damaged (it is no plain file)")
        if found.st_size != size:
            raise DamagedError(folder, file, f"is damaged (it has {found.st_size:,} bytes, {size:,} were written)")
    return content


def _listed(content: dict[str, Any]) -> Files:
    """The files of a seal, each of them in the folder and described; raises ValueError where that is not so."""
    files = content.get("files")
    if not isinstance(files, dict) or not all(map(_INSIDE.fullmatch, files)):
        raise ValueError("it does not list the files of its folder")
    for described_ in files.values():
        match described_:
            case [int(size), str(digest)] if size >= 0 and _SHA256.fullmatch(digest):
                continue
        raise ValueError("it does not say the size and SHA-256 of a file")
    return files


def unsealed(folder: Path) -> bool:
    """Whether the work in a folder says that it is done, but not what its files were: earlier versions did not."""
    try:
        content = read_json(folder / DONE)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and not {"files", "sha256"} & content.keys()


def checked(folder: Path, file: str, files: Files) -> Path:
    """The path of a file that is what was written. In each process it is hashed once, unless it changes.

    In a copy of work that lies elsewhere, a file that is not what was written is fetched first.

    Raises:
        DamagedError: it is not.
    """
    if file not in files:
        raise DamagedError(folder, file, "is missing (it was never written)")
    path = folder / file
    fetch = _fetches.get(folder.parent.parent)
    if fetch and not (path.is_file() and sha256(path) == files[file][1]):
        fetch(folder, file, files[file])
    try:
        digest = sha256(path)
    except OSError as error:
        raise DamagedError(folder, file, f"is missing ({error.strerror})") from error
    if digest != files[file][1]:
        raise DamagedError(folder, file, "is damaged (its content is not what was written)")
    return path


def foreign(content: bytes, folder: Path) -> dict[str, Any]:
    """A seal that comes from elsewhere, before any file is written by it.

    Args:
        content: Of the seal.
        folder: Where the work is to lie.

    Raises:
        DamagedError: it is not what was written, or names a file that would lie elsewhere.
    """
    try:
        seal = sealed_content(json.loads(content))
        _listed(seal)
    except (ValueError, RecursionError) as error:
        raise DamagedError(folder, DONE, f"is damaged ({error})") from error
    return seal


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    stat = path.stat()
    return _sha256(path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@lru_cache(maxsize=65536)
def _sha256(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()
