"""What a store owes to other machines: nothing, where it is a folder that the kernel locks; else objects that all see.

    dgbench.json                            what the place is
    trainings/<id>/done.json                the seal; what it lists lies beside it, each file under its own digest:
    trainings/<id>/<sha256>/<name>
    trainings/<id>/last.json                the seal of what a training resumes from, until it is finished
    runs/<id>/                              likewise
    boards/<name>/<id>.json                 failures/<id>.json
    leases/<kind>-<id>/<term>               who works on a piece (:mod:`dgbench.core.leases`)
    damaged/                                what was set aside

No object changes but seals, lists, notes and leases. So whoever lost his lease and does not know it can harm nothing:
his files lie beside those of others, and a first seal is created, never replaced.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from dgbench.core.disk import DiskError
from dgbench.core.errors import DamagedError, StoreError
from dgbench.core.leases import Lease, Leases, every
from dgbench.core.paths import store_root
from dgbench.core.remote import Remote, check, content_of, make, remote_at
from dgbench.core.seals import DONE, MIDWAY, Files, checked, foreign, sealed, sha256
from dgbench.runs.copies import LAST, SHARED, Copy, at, key, keys, listed, write

STATE = 60.0
"""Seconds after which what a training resumes from is put where others find it."""
_LOOK, _SHARE = 5.0, 20
"""A listing is believed for so many seconds, and for so many times as long as it took."""
_AT_ONCE = 16
"""Requests to a server at once."""

log = logging.getLogger(__name__)


class Sharing:
    """With nobody: the store is one folder, and its processes have one kernel.

    Attributes:
        url: Where others find it, if they do.
    """

    url: str | None = None

    def there(self, root: Path) -> bool:
        """Whether there is a store yet, in a folder or where others find it."""
        return root.is_dir()

    def begin(self) -> None:
        """Make the place of the others a store; raises StoreError or DiskError where work cannot be shared there."""

    def look(self, kind: str) -> None:
        """Learn which pieces of a kind there are."""

    def finished(self, kind: str, id_: str) -> bool:
        """Whether a piece may be finished; where others have it, its seal is here then."""
        return True

    @contextmanager
    def held(self, kind: str, id_: str) -> Iterator[bool]:
        """Whether no other machine works on a piece during the block; what the block made of it is published."""
        yield True

    def check(self, kind: str, folder: Path, file: str, files: Files) -> None:
        """Hash a file of a finished piece where it is kept; raises DamagedError where it is not what was written."""
        checked(folder, file, files)

    def bring(self, folder: Path) -> None:
        """Have every file of a finished piece here, since it is to be done again for more."""

    def is_aside(self, name: str) -> bool:
        """Whether another machine has set something aside under a name."""
        return False

    def set_aside(self, kind: str, id_: str, name: str) -> None:
        """Keep what is damaged under another name."""

    def at_work(self) -> set[str]:
        """The pieces, as ``kind-id``, that machines hold who share the store, perhaps with some whose lease is over."""
        return set()

    def fetch_notes(self, folder: str) -> None:
        """Have the lists of all boards (``boards``), or the notes of all failures (``failures``), as they are now."""

    def put_note(self, path: Path, content: bytes | None) -> None:
        """Give a list or a note to others, or take it from them, before it is written or removed here."""


class Shared(Sharing):
    """With other machines, through objects that all see.

    Args:
        remote: Where they are.
        root: Of the copy on this machine.
        leases: Of the place, if others than the usual ones.

    Raises:
        StoreError: the place is something else than a shared store, or cannot be read.
    """

    def __init__(self, remote: Remote, root: Path, leases: Leases | None = None) -> None:
        check(remote)
        self.url = remote.url
        self.remote = remote
        self.copy = Copy(remote, root)
        self.leases = leases or Leases(remote)
        self._until: dict[str, float] = {}
        self._before: dict[tuple[str, str], bytes | None] = {}
        self._begun = False

    def there(self, root: Path) -> bool:
        """As :class:`Sharing` says it."""
        return check(self.remote)

    def begin(self) -> None:
        """As :class:`Sharing` says it; who only reads has made nothing."""
        if not self._begun:
            make(self.remote)
            self._begun = True

    def look(self, kind: str) -> None:
        """As :class:`Sharing` says it; the seals of all that is finished are fetched at once."""
        if kind in SHARED:
            with self._now_and_then(kind) as due:
                if due:
                    ids = set(self.copy.ids(kind))
                    _at_once(
                        lambda id_: self.copy.learn(kind, id_), {i for i in ids if (kind, i) not in self.copy.known}
                    )
                    self.copy.drop_gone(kind, ids)

    def finished(self, kind: str, id_: str) -> bool:
        """As :class:`Sharing` says it."""
        if kind not in SHARED or (kind, id_) in self.copy.known:
            return True
        self.look(kind)
        if (kind, id_) not in self.copy.known and (self.copy.folder(kind, id_) / DONE).is_file():
            self.copy.learn(kind, id_)  # another process of this machine may have finished it since
        return (kind, id_) in self.copy.known

    @contextmanager
    def held(self, kind: str, id_: str) -> Iterator[bool]:
        """As :class:`Sharing` says it."""
        if kind not in SHARED:
            yield True
            return
        self.begin()
        with self.leases.held(f"{kind}-{id_}") as lease:
            if lease is None:
                yield False
                return
            self._before[kind, id_] = self.copy.pull(kind, id_)
            sent: set[str] = set()
            try:
                with every(STATE, lambda: self._save_state(kind, id_, lease, sent)):
                    yield True
            except Exception:
                raise
            except BaseException:  # this process is to end: another one goes on from here
                self._leave(kind, id_, lease, sent)
                raise
            self._publish(kind, id_, lease)

    def check(self, kind: str, folder: Path, file: str, files: Files) -> None:
        """As :class:`Sharing` says it: the object is read, whatever lies here."""
        piece = kind, folder.name
        if piece not in self.copy.known or self._before.get(piece, b"") is None:  # it is nowhere else yet
            checked(folder, file, files)
            return
        digest = hashlib.sha256()
        try:
            for chunk in self.remote.stream(key(kind, folder.name, file, files[file])):
                digest.update(chunk)
        except FileNotFoundError:
            raise DamagedError(folder, file, f"is missing in {self.url}") from None
        if digest.hexdigest() != files[file][1]:
            raise DamagedError(folder, file, f"is damaged in {self.url} (its content is not what was written)")

    def bring(self, folder: Path) -> None:
        """As :class:`Sharing` says it."""
        note = sealed(folder)
        for file in note["files"] if note else ():
            checked(folder, file, note["files"])  # type: ignore[index]

    def is_aside(self, name: str) -> bool:
        """As :class:`Sharing` says it."""
        return bool(self.remote.below(f"damaged/{name}/"))

    def set_aside(self, kind: str, id_: str, name: str) -> None:
        """As :class:`Sharing` says it."""
        keys = self.remote.below(at(kind, id_))
        for one in keys:
            self.remote.copy(one, f"damaged/{name}/{one.removeprefix(at(kind, id_))}")
        self.remote.delete(at(kind, id_) + DONE)  # first: what is left is not finished
        self.remote.delete(*keys)
        self.copy.known.discard((kind, id_))
        self._before[kind, id_] = None

    def at_work(self) -> set[str]:
        """As :class:`Sharing` says it."""
        return set(self.remote.folders("leases/"))

    def fetch_notes(self, folder: str) -> None:
        """As :class:`Sharing` says it."""
        with self._now_and_then(folder) as due:
            if due:
                here = list((self.copy.root / folder).glob("*/*.json" if folder == "boards" else "*.json"))
                keys = {one for one in self.remote.below(f"{folder}/") if _is_note(one)}
                _at_once(self._fetch_note, keys)
                for path in here:
                    if path.relative_to(self.copy.root).as_posix() not in keys:
                        path.unlink(missing_ok=True)

    def _fetch_note(self, name: str) -> None:
        content, path = content_of(self.remote, name), self.copy.root / name
        if content is not None and not (path.is_file() and path.read_bytes() == content):
            write(path, content)

    def put_note(self, path: Path, content: bytes | None) -> None:
        """As :class:`Sharing` says it."""
        name = path.relative_to(self.copy.root).as_posix()
        if content is None:
            self.remote.delete(name)
        else:
            self.begin()
            self.remote.write(name, content)

    @contextmanager
    def _now_and_then(self, what: str) -> Iterator[bool]:
        """Whether to look again: the longer looking takes, the longer it is not done again."""
        began = time.monotonic()
        if began < self._until.get(what, 0.0):
            yield False
            return
        yield True
        now = time.monotonic()
        self._until[what] = now + max(_LOOK, _SHARE * (now - began))

    def _leave(self, kind: str, id_: str, lease: Lease, sent: set[str]) -> None:
        """Put what this process has got to where others find it: the piece, if it was just finished, or the state."""
        if self._sealed(kind, id_) in (None, self._before[kind, id_]):
            self._save_state(kind, id_, lease, sent)
            return
        try:
            self._publish(kind, id_, lease)
        except (OSError, StoreError, DiskError) as error:
            log.warning("%s %s is finished, and is not in %s yet: %s", kind, id_, self.url, error)

    def _sealed(self, kind: str, id_: str) -> bytes | None:
        """The seal of a piece, as it is here."""
        path = self.copy.folder(kind, id_) / DONE
        return path.read_bytes() if path.is_file() else None

    def _save_state(self, kind: str, id_: str, lease: Lease, sent: set[str]) -> None:
        """Put what a training resumes from where others find it, in place of what it did. What fails is tried again."""
        folder = self.copy.folder(kind, id_)
        try:
            content = (folder / MIDWAY).read_bytes()
            if (last := hashlib.sha256(content).hexdigest()) in sent:
                return
            files: Files = foreign(content, folder)["files"]
            if self._sent(kind, id_, files, sent):
                self.remote.write(at(kind, id_) + LAST, content)
                sent.add(last)
                if lease.renew():
                    finished = keys(kind, id_, listed(self._before[kind, id_], folder))
                    self._clear(kind, id_, {at(kind, id_) + LAST, *keys(kind, id_, files), *finished})
        except FileNotFoundError:  # there is none, or it has just been replaced
            return
        except (OSError, StoreError, DiskError) as error:
            log.warning("what %s %s resumes from is not in %s yet: %s", kind, id_, self.url, error)

    def _sent(self, kind: str, id_: str, files: Files, sent: set[str]) -> bool:
        """Upload files that were not yet; False where one is no longer what the seal says."""
        folder = self.copy.folder(kind, id_)
        for name, about in files.items():
            one = key(kind, id_, name, about)
            if one not in sent:
                if sha256(folder / name) != about[1]:
                    return False
                self.remote.write(one, folder / name)
                sent.add(one)
        return True

    def _publish(self, kind: str, id_: str, lease: Lease) -> None:
        """Have others see what has become of a piece: files first, the seal next, and what it no longer lists goes."""
        folder, before = self.copy.folder(kind, id_), self._before.pop((kind, id_))
        now = self._sealed(kind, id_)
        if now == before and (now or folder.is_dir()):  # without its folder an unfinished one was removed
            return
        if now is None:
            self.copy.known.discard((kind, id_))
            if lease.renew():
                self.remote.delete(at(kind, id_) + DONE)
                self.remote.delete(*self.remote.below(at(kind, id_)))
            return
        files: Files = foreign(now, folder)["files"]
        there = listed(before, folder)
        if not self._sent(kind, id_, {name: of for name, of in files.items() if there.get(name) != of}, set()):
            raise DamagedError(folder, DONE, "is damaged (a file was changed while it was published)")
        ours = lease.renew()
        if not self._seal(kind, id_, before, now, ours=ours):
            log.warning("%s %s was completed by another machine meanwhile, whose result stays", kind, id_)
            if (theirs := content_of(self.remote, at(kind, id_) + DONE)) is not None:
                self.copy.adopt(kind, id_, theirs)
            return
        self.copy.known.add((kind, id_))
        if ours:
            self._clear(kind, id_, keys(kind, id_, files))

    def _clear(self, kind: str, id_: str, stay: set[str]) -> None:
        """Remove what nobody wants any longer of a piece; that it is finished stays."""
        self.remote.delete(*({*self.remote.below(at(kind, id_))} - stay - {at(kind, id_) + DONE}))

    def _seal(self, kind: str, id_: str, before: bytes | None, now: bytes, *, ours: bool) -> bool:
        """Say that a piece is finished: the first to do so says what it is, and only who holds it says it again."""
        if before is None:
            return self.remote.create(at(kind, id_) + DONE, now)
        if ours:
            self.remote.write(at(kind, id_) + DONE, now)
        return ours


def _at_once(do: Callable[[str], None], things: Iterable[str]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(do, things):  # so that an error is raised
            pass


def _is_note(name: str) -> bool:
    """Whether a key is one of a list or of a note, and no path that would lie elsewhere."""
    parts = name.split("/")
    return name.endswith(".json") and len(parts) in (2, 3) and all(part and not part.startswith(".") for part in parts)


@lru_cache
def shared_at(url: str) -> Shared:
    """The sharing of the store in an address: one for each process, since it remembers what it has seen."""
    return Shared(remote_at(url), store_root(url))
