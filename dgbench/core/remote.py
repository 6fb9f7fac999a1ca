"""Objects by key on a server or a shared disk: each is whole or absent, and can be created by one of many alone.

What is asked of a place is little: a put that is seen whole, a listing that shows what was put before it, and an
*exclusive create*. Where a rename and a hard link are atomic (a local disk, NFS) these are that; a bucket answers a put
with ``If-None-Match: *``. A place that takes such a put although the object is there would let two machines do the same
work, so it is tried, not hoped, before the first work is shared there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from dgbench.core.disk import writing
from dgbench.core.errors import StoreError
from dgbench.core.spec import canonical

MARK = "dgbench.json"
"""The object that says what a place is."""
SCHEMA = "dgbench.shared/1"
_WRITTEN = canonical({"schema": SCHEMA}).encode()
_SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss")
_CHUNK = 2**22


class Remote(Protocol):
    """A place of objects. Keys are names between slashes.

    Every method may raise ``StoreError``, and one that writes ``DiskError`` where nothing can be written.

    Attributes:
        url: Where it is.
    """

    url: str

    def read(self, key: str) -> bytes:
        """The content of an object; raises ``FileNotFoundError`` where there is none."""

    def stream(self, key: str) -> Iterator[bytes]:
        """The content of an object, bit by bit; raises likewise."""

    def write(self, key: str, content: bytes | Path) -> None:
        """Put an object in the place of what was there."""

    def create(self, key: str, content: bytes) -> bool:
        """Put an object; False where there is one, which stays."""

    def copy(self, key: str, to: str) -> None:
        """Put an object's content under another key, too; nothing where it has gone."""

    def delete(self, *keys: str) -> None:
        """Remove objects, those that are there."""

    def below(self, prefix: str) -> list[str]:
        """The keys of all objects below a prefix that ends with a slash."""

    def folders(self, prefix: str) -> list[str]:
        """The names right below a prefix that have objects below them."""


class Folder:
    """Objects as files of a folder that several machines share, such as one on NFS."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.root = Path(unquote(urlsplit(url).path))

    def read(self, key: str) -> bytes:
        """As :class:`Remote` says it."""
        with self._said():
            return (self.root / key).read_bytes()

    def stream(self, key: str) -> Iterator[bytes]:
        """As :class:`Remote` says it."""
        with self._said(), (self.root / key).open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def write(self, key: str, content: bytes | Path) -> None:
        """As :class:`Remote` says it: a rename is atomic."""
        with self._written(), self._beside(key, content) as (made, path):
            made.replace(path)

    def create(self, key: str, content: bytes) -> bool:
        """As :class:`Remote` says it: a hard link is made once, and of a whole file."""
        with self._written(), self._beside(key, content) as (made, path):
            try:
                path.hardlink_to(made)
            except FileExistsError:
                return False
        return True

    def copy(self, key: str, to: str) -> None:
        """As :class:`Remote` says it."""
        with contextlib.suppress(FileNotFoundError):
            self.write(to, self.root / key)

    def delete(self, *keys: str) -> None:
        """As :class:`Remote` says it; folders that are empty then go, too."""
        for key in keys:
            path = self.root / key
            with self._written():
                path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self.root:
                    break
                try:
                    folder.rmdir()
                except OSError:  # something is in it, or it has gone
                    break

    def below(self, prefix: str) -> list[str]:
        """As :class:`Remote` says it."""
        found = []
        with self._said():
            for parent, folders, names in os.walk(self.root / prefix, onerror=_unless_gone):
                folders[:] = [name for name in folders if not name.startswith(".")]
                inside = Path(parent).relative_to(self.root)
                found += [(inside / name).as_posix() for name in names if not name.startswith(".")]
        return sorted(found)

    def folders(self, prefix: str) -> list[str]:
        """As :class:`Remote` says it."""
        try:
            with self._said(), os.scandir(self.root / prefix) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """Errors of the disk as ours, with the address; that an object is not there is an error of another kind."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(f"{self.url}: {error}") from error

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Likewise; that nothing can be written here is no trouble of the disk on which the copy lies."""
        with self._said(), writing(self.root):
            yield

    @contextlib.contextmanager
    def _beside(self, key: str, content: bytes | Path) -> Iterator[tuple[Path, Path]]:
        """A whole file on the disk, which is to become an object, and where that lies. Without kernel locks, which not
        every shared disk has: what a killed process leaves begins with a dot, and is no object."""
        path = self.root / key
        made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = made.open("xb")
                break
            except FileNotFoundError:  # who removed the last object of the folder took it along
                continue
            except FileExistsError as error:  # likewise, a moment earlier; else something lies there that is no folder
                with contextlib.suppress(FileNotFoundError):
                    if not stat.S_ISDIR(os.stat(error.filename).st_mode):  # noqa: PTH116 (what it is, in one look)
                        raise
        try:
            with file:
                if isinstance(content, Path):
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, file, _CHUNK)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield made, path
        finally:
            made.unlink(missing_ok=True)


def _unless_gone(error: OSError) -> None:
    """A folder that cannot be listed is not an empty one: whoever believed it would take what is there for removed."""
    if not isinstance(error, FileNotFoundError):
        raise error


class Bucket:
    """Objects of an S3-compatible server, of Google's or of Azure's; credentials are those of the environment.

    Args:
        url: Where.
        objects: A store of obstore, in place of the one that the address and the environment say.
    """

    def __init__(self, url: str, objects: Any = None) -> None:
        try:
            import obstore
            from obstore import exceptions, store
        except ImportError:
            raise StoreError(f"a store in {url} takes obstore: pip install 'dgbench[s3]'") from None
        self.url = url
        self._io, self._errors = obstore, exceptions
        with self._said():
            self._objects = objects or store.from_url(url)

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """Errors of the server as ours, on one line; that an object is not there is an error of another kind."""
        try:
            yield
        except FileNotFoundError:
            raise
        except (self._errors.BaseError, OSError, ValueError) as error:
            said = " ".join(str(error).partition("Debug source")[0].split()) or type(error).__name__
            raise StoreError(f"{self.url}: {said[:400]}") from error

    def read(self, key: str) -> bytes:
        """As :class:`Remote` says it."""
        with self._said():
            return bytes(self._io.get(self._objects, key).bytes())

    def stream(self, key: str) -> Iterator[bytes]:
        """As :class:`Remote` says it."""
        with self._said():
            for chunk in self._io.get(self._objects, key).stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    def write(self, key: str, content: bytes | Path) -> None:
        """As :class:`Remote` says it; large files go in parts, and are seen when all are there."""
        with self._said():
            self._io.put(self._objects, key, content)

    def create(self, key: str, content: bytes) -> bool:
        """As :class:`Remote` says it."""
        with self._said():
            try:
                self._io.put(self._objects, key, content, mode="create", use_multipart=False)
            except self._errors.AlreadyExistsError:
                return False
        return True

    def copy(self, key: str, to: str) -> None:
        """As :class:`Remote` says it."""
        with self._said(), contextlib.suppress(FileNotFoundError):
            self._io.copy(self._objects, key, to)

    def delete(self, *keys: str) -> None:
        """As :class:`Remote` says it."""
        for key in keys:
            with self._said(), contextlib.suppress(FileNotFoundError):
                self._io.delete(self._objects, key)

    def below(self, prefix: str) -> list[str]:
        """As :class:`Remote` says it."""
        with self._said():
            return sorted(found["path"] for part in self._io.list(self._objects, prefix) for found in part)

    def folders(self, prefix: str) -> list[str]:
        """As :class:`Remote` says it."""
        with self._said():
            found = self._io.list_with_delimiter(self._objects, prefix)["common_prefixes"]
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)


def remote_at(url: str) -> Remote:
    """The place that an address names.

    Raises:
        StoreError: nothing here reads such an address, or the place is no store, and is not empty either, or it cannot
            be opened.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        if urlsplit(url).netloc or not urlsplit(url).path.strip("/"):
            raise StoreError(f"{url} names no folder; an address of one is file:///its/whole/path")
        return Folder(url)
    if scheme in _SCHEMES:
        return Bucket(url)
    raise StoreError(f"{url}: a store lies in a folder, or at file://, s3://, gs:// or az://")


def content_of(remote: Remote, key: str) -> bytes | None:
    """The content of an object; None where there is none."""
    try:
        return remote.read(key)
    except FileNotFoundError:
        return None


def check(remote: Remote) -> bool:
    """Whether a place is a shared store already; one that is nothing yet may become one. Nothing is written.

    Raises:
        StoreError: it is of another version, or something else, or cannot be read.
    """
    found = content_of(remote, MARK)
    if found is None:
        if others := [name for name in ("trainings", "runs", "boards") if name in remote.folders("")]:
            raise StoreError(
                f"{remote.url} holds {others[0]}, but is no shared store; open it by its path, or merge it into one: "
                "dgbench store merge"
            )
        return False
    if found != _WRITTEN:
        raise StoreError(f"{remote.url} is a store of another version of dgbench, or none ({MARK} is not as written)")
    return True


def make(remote: Remote) -> None:
    """Make a place a shared store, if it is none yet, and see that work can be shared there.

    Raises:
        StoreError: as :func:`check` says it, or it creates what is there a second time.
        DiskError: it cannot be written.
    """
    if not check(remote):
        remote.create(MARK, _WRITTEN)
        check(remote)
    if remote.create(MARK, _WRITTEN):
        raise StoreError(
            f"{remote.url} creates an object that is there (it does not know conditional puts), so two machines would "
            "do the same work; take a server that refuses a put with 'If-None-Match: *', or a folder"
        )
