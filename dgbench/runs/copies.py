"""The copy, on one machine, of a store that lies elsewhere: a folder like any store, so whatever reads it reads paths.

Of finished work the seal and small files are fetched when it is looked at, and stand-ins of the right size lie there
for the others, which take no room. A file is fetched when it is read, since :func:`dgbench.core.seals.checked` finds
that it is not what was written.

Nothing that comes from elsewhere decides where it lies: ids are ids, names of files are what a seal may list.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from dgbench.core.errors import DamagedError
from dgbench.core.files import whole
from dgbench.core.locks import alone
from dgbench.core.remote import Remote, content_of
from dgbench.core.seals import DONE, MIDWAY, Files, checked, copied_from, foreign, sealed, sha256
from dgbench.core.spec import is_id

FOLDERS = {"training": "trainings", "run": "runs", "features": "features"}
"""Where the pieces of a kind lie."""
SHARED = ("training", "run")
"""The kinds that machines share. Features of frozen backbones stay where they were computed, as decoded images do."""
LAST = "last.json"
"""The object that is the seal of what a training resumes from."""
SPEC = "spec.json"
"""The file that says what a piece is."""
_SMALL = 2**15
"""Bytes up to which a file is fetched with the seal."""

log = logging.getLogger(__name__)


def lock_of(root: Path, kind: str, id_: str) -> Path:
    """Held by the process of this machine that does a piece of work."""
    return root / "locks" / f"{kind}-{id_}.lock"


def at(kind: str, id_: str) -> str:
    """Where the objects of a piece lie, with the slash."""
    return f"{FOLDERS[kind]}/{id_}/"


def key(kind: str, id_: str, name: str, about: list[Any]) -> str:
    """Where a file of a piece lies: below its own digest, so that no object is ever another one."""
    return f"{at(kind, id_)}{about[1]}/{name}"


def keys(kind: str, id_: str, files: Files) -> set[str]:
    """Where all files of a piece lie."""
    return {key(kind, id_, name, about) for name, about in files.items()}


def listed(seal: bytes | None, folder: Path) -> Files:
    """The files that a seal lists; none where it is damaged."""
    try:
        return foreign(seal, folder)["files"] if seal else {}
    except DamagedError:
        return {}


class Copy:
    """The copy of a store on this machine.

    Args:
        remote: Where the store is.
        root: Where the copy is.

    Attributes:
        known: The pieces that are finished there, and were looked at in this process.
    """

    def __init__(self, remote: Remote, root: Path) -> None:
        self.remote = remote
        self.root = root
        self.known: set[tuple[str, str]] = set()
        copied_from(root, self._fetch)

    def folder(self, kind: str, id_: str) -> Path:
        """Where a piece of work lies."""
        return self.root / FOLDERS[kind] / id_

    def ids(self, kind: str) -> list[str]:
        """Of the pieces that there are, finished or not."""
        return [name for name in self.remote.folders(f"{FOLDERS[kind]}/") if is_id(name)]

    def learn(self, kind: str, id_: str) -> None:
        """Look at a piece, unless a process of this machine is at it."""
        with alone(lock_of(self.root, kind, id_)) as mine:  # or what it removes would come back
            if mine and (content := content_of(self.remote, at(kind, id_) + DONE)) is not None:
                self.adopt(kind, id_, content)

    def drop_gone(self, kind: str, ids: Collection[str]) -> None:
        """Let go what is here of pieces that others have removed; what was finished here and is not there yet stays.

        Args:
            kind: Of the pieces.
            ids: Those of which there is something elsewhere.
        """
        for folder in (self.root / FOLDERS[kind]).glob("*"):
            id_ = folder.name
            if (id_ in ids and (kind, id_) in self.known) or not is_id(id_) or not (folder / DONE).is_file():
                continue
            with alone(lock_of(self.root, kind, id_)) as mine:
                if mine and content_of(self.remote, at(kind, id_) + DONE) is None and not _all_here(folder):
                    self.known.discard((kind, id_))
                    (folder / DONE).unlink(missing_ok=True)  # first: what is left is not finished
                    shutil.rmtree(folder, ignore_errors=True)

    def adopt(self, kind: str, id_: str, content: bytes) -> bool:
        """Have the piece of a seal here; False where the seal is not what was written, so that it is found damaged."""
        folder = self.folder(kind, id_)
        try:
            files: Files = foreign(content, folder)["files"]
        except DamagedError as error:
            log.warning("%s; the seal in %s is meant", error, self.remote.url)
            self.known.discard((kind, id_))
            write(folder / DONE, content)
            return False
        for name, about in files.items():
            if about[0] <= _SMALL or name == SPEC:
                with suppress(DamagedError):  # whoever reads it says so
                    checked(folder, name, files)
        _stand_in(folder, files)
        if not (folder / DONE).is_file() or (folder / DONE).read_bytes() != content:
            write(folder / DONE, content)
        self.known.add((kind, id_))
        return True

    def pull(self, kind: str, id_: str) -> bytes | None:
        """Have a piece here as it is elsewhere, which nobody else works on now; its seal, if it has one."""
        folder = self.folder(kind, id_)
        before = content_of(self.remote, at(kind, id_) + DONE)
        if before is not None:
            self.adopt(kind, id_, before)
            return before
        self.known.discard((kind, id_))
        if (folder / DONE).is_file():
            if _all_here(folder):  # it was finished here and could not be published, or is gone elsewhere
                self.known.add((kind, id_))
                return None
            (folder / DONE).unlink()
        if (midway := content_of(self.remote, at(kind, id_) + LAST)) is not None:
            self._adopt_state(folder, midway)
        return None

    def _adopt_state(self, folder: Path, content: bytes) -> None:
        """Go on from what another machine left, where that is further than what was left here."""
        try:
            there = foreign(content, folder)
            with suppress(DamagedError):
                here = sealed(folder, MIDWAY)
                if here is not None and here["step"] >= there["step"]:
                    return
        except (DamagedError, KeyError, TypeError) as error:
            log.warning("what training %s would resume from is damaged: %s", folder.name, error)
            return
        _stand_in(folder, there["files"])
        write(folder / MIDWAY, content)

    def _fetch(self, folder: Path, file: str, about: list[Any]) -> None:
        """Fetch a file of a piece, if its object is what was written."""
        kind = next((kind for kind in SHARED if FOLDERS[kind] == folder.parent.name), None)
        if kind is None:
            return
        digest = hashlib.sha256()
        with suppress(FileNotFoundError, _OtherContentError), whole(folder / file) as temporary:
            with temporary.open("wb") as made:
                for chunk in self.remote.stream(key(kind, folder.name, file, about)):
                    made.write(chunk)
                    digest.update(chunk)
            if digest.hexdigest() != about[1]:
                raise _OtherContentError


class _OtherContentError(Exception):
    """An object is not what was written."""


def write(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_bytes(content)


def _all_here(folder: Path) -> bool:
    """Whether all of a finished piece lies here, with nobody asked for the rest."""
    try:
        note = sealed(folder)
        return note is not None and all(sha256(folder / name) == about[1] for name, about in note["files"].items())
    except (DamagedError, OSError):
        return False


def _stand_in(folder: Path, files: Files) -> None:
    """Files of the size that others have elsewhere, and no content."""
    for name, (size, _) in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            with whole(path) as temporary:
                os.truncate(temporary, size)
