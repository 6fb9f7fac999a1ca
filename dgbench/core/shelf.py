"""What can be made again is kept while there is room for it: pieces below a bound, the least recently used go first.

A *piece* is a file or a folder, and goes whole. Its *mark* is a file of it whose time of change says when it was last
used. What somebody uses (``in_use``) or makes (the piece's lock) stays, whatever that comes to; a writer takes its room
before it writes, so that the bound holds for what is half-written, too.

Times are those of a clock that never goes back: the file ``.clock`` has the latest. Where the machine's own clock
jumps, the order of uses stays right.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dgbench.core.amounts import in_bytes, in_words
from dgbench.core.disk import WORKSHOP, DiskError, unwritable
from dgbench.core.errors import DGBenchError
from dgbench.core.files import whole
from dgbench.core.in_use import unused
from dgbench.core.locks import alone, clear, in_turn

SHARE, MOST = 0.25, 20 * 10**9
"""Where nobody says how much a shelf may take: a share of what its disk would have free without it, bytes at most."""

SPARSE = ".sparse"
"""How names of files end that are written here and there: what counts of them is what the disk gave them so far."""

log = logging.getLogger(__name__)

_SECTOR = 512
"""Bytes that ``st_blocks`` counts in, whatever the file system."""
_over: set[Path] = set()
"""Shelves of which this process has said that they are over their bound."""


@dataclass(frozen=True)
class Piece:
    """Something that lies on a shelf.

    Attributes:
        path: Of a file or of a folder.
        mark: The file of it whose time is that of its last use; the file itself, where it is one.
        lock: Held by who makes it.
        bytes: What it takes.
        used: Time of its last use, nanoseconds.
    """

    path: Path
    mark: Path
    lock: Path
    bytes: int
    used: int


def piece(path: Path, mark: Path, lock: Path) -> Piece | None:
    """A piece as it lies there; None where its mark is missing, so that it is not whole or has just gone."""
    try:
        return Piece(path, mark, lock, size_of(path), mark.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class Shelf:
    """Pieces below one bound; any number of processes may share it.

    Attributes:
        root: All of it lies below this folder.
        places: Folders of the root that count.
        what: It, in words.
        variable: Of the environment; says how much it may take: ``20GB``, or ``none`` for no bound.
        find: The pieces that are whole.
    """

    root: Path
    places: tuple[str, ...]
    what: str
    variable: str
    find: Callable[[], Iterable[Piece | None]]

    def pieces(self) -> list[Piece]:
        """Those that are whole, the least recently used first."""
        return sorted((found for found in self.find() if found is not None), key=lambda one: one.used)

    def taken(self) -> int:
        """Bytes of all that lies there, half-written files included."""
        return self._count().bytes

    def _count(self) -> _Count:
        return _Count([self.root / place for place in self.places])

    def bound(self, taken: int | None = None) -> int | None:
        """Bytes that it may take; None where there is no bound.

        Args:
            taken: What it takes now, where that is known.

        Raises:
            DGBenchError: the environment says something else than a number of bytes.
        """
        said = os.environ.get(self.variable)
        if said is None:
            return min(int(SHARE * (self.free() + (self.taken() if taken is None else taken))), MOST)
        try:
            return None if said.strip().lower() == "none" else in_bytes(said)
        except ValueError as error:
            raise DGBenchError(f"{self.variable}: {error}, or none for no bound") from error

    def used(self, mark: Path) -> None:
        """Note that a piece is used now. Where nothing can be written, nothing is noted."""
        clock = self.root / ".clock"
        try:
            clock.touch() if not clock.exists() else None
            now = max(time.time_ns(), clock.stat().st_mtime_ns + 1)
            _set(clock, now)
            _set(mark, now)
        except FileNotFoundError:
            pass  # it has just gone
        except OSError as error:
            if not unwritable(error):
                raise

    @contextmanager
    def file(self, path: Path, size: int, beside: int = 0) -> Iterator[Path]:
        """A file elsewhere that becomes ``path`` when the block ends without an error; room is made for it before.

        Args:
            path: Where it will lie.
            size: Bytes that it will have.
            beside: Bytes of what will be written beside it, at most.

        Raises:
            DiskError: it is larger than the bound, or cannot be written.
        """
        with ExitStack() as stack:
            with self.room(size + beside):
                temporary = stack.enter_context(whole(path))
                os.truncate(temporary, size)  # its room is taken now, before others look
            yield temporary

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Inside, nobody else makes room; what is begun there must show its size before the block ends.

        Raises:
            DiskError: ``size`` is more than the bound.
        """
        with in_turn(self.root / ".room.lock"):
            self._make_room(size)
            yield

    def _make_room(self, size: int) -> None:
        count = self._count()
        if count.begun:  # or left by who was killed at it
            count = (self._count() if _clear(count.begun) else count).settled()
        taken, free = count.bytes, self.free()
        bound = self.bound(taken)
        if bound is not None and size > bound:
            raise DiskError(self.refusal(size, bound))
        self._not_before(count.latest)
        most = taken + free if bound is None else min(bound, taken + free)
        if taken + size <= most:
            return
        for piece in self.pieces():
            if remove(piece):
                taken -= piece.bytes
            if taken + size <= most:
                return
        if bound is not None and taken + size > bound and self.root not in _over:
            _over.add(self.root)
            log.warning(
                "%s in %s grows to %s, over its bound of %s (%s): what is in use stays",
                *(self.what, self.root, in_words(taken + size), in_words(bound), self.variable),
            )

    def clear(self) -> None:
        """Remove what processes that were killed left: half-written files, and locks."""
        _clear(self._count().begun)

    def refusal(self, size: int, bound: int) -> str:
        """Why so many bytes cannot lie here at once, and what to do."""
        said = "" if self.variable in os.environ else f", a quarter of what its disk has, and at most {in_words(MOST)}"
        return (
            f"{in_words(size)} are needed at once in {self.root}, more than {self.what} may take there "
            f"({in_words(bound)}{said}); set {self.variable}={_rounded(size)} or more, or none"
        )

    def _not_before(self, when: int) -> None:
        """Marks may come from a machine whose clock was ahead: what is used now is later than all of them."""
        clock = self.root / ".clock"
        clock.touch() if not clock.exists() else None
        if clock.stat().st_mtime_ns < when:
            _set(clock, when)

    def free(self) -> int:
        """Bytes that its disk has free."""
        root = self.root.absolute()
        return shutil.disk_usage(next(folder for folder in (root, *root.parents) if folder.is_dir())).free


def _clear(begun: Iterable[Path]) -> bool:
    """Remove those of locks and half-written files whose makers were killed; whether a file was among them."""
    removed = False
    for left in begun:
        if not left.name.endswith(".lock"):
            removed |= clear(left)
        elif not WORKSHOP.search(str(left.parent)):  # what is in there goes with it
            with alone(left):
                pass
    return removed


def remove(piece: Piece) -> bool:
    """Take a piece away, all of it; False where somebody uses it or makes it anew, or it is not ours."""
    with alone(piece.lock) as mine, unused(_files(piece.path)) as free:
        if not (mine and free):
            return False
        try:
            if piece.path.is_dir():
                aside = piece.path.with_name(f".{piece.path.name}.{secrets.token_hex(8)}")
                piece.path.rename(
                    aside
                )  # it is gone in one step; what is left of it when a process is killed is not it
                shutil.rmtree(aside, ignore_errors=True)
            else:
                piece.path.unlink()
        except OSError as error:
            if not unwritable(error):
                raise
            return False
        return True


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [Path(parent, name) for parent, _, names in os.walk(path) for name in names]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder, those that are half-written included."""
    return _size(path.name, path.stat()) if path.is_file() else _Count([path]).bytes


class _Count:
    """Files below some folders, each once, whatever its name: what they take, and when the latest of them was changed.

    A walk through a large shelf is most of what making room takes: one is enough while nobody makes anything there,
    and a second one where somebody does.

    Attributes:
        begun: Locks that are held and files that are half-written, or were when a process was killed.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self.sizes: dict[tuple[int, int], int] = {}
        self.latest = 0
        self.begun: set[Path] = set()
        self._look()

    @property
    def bytes(self) -> int:
        """What they take."""
        return sum(self.sizes.values())

    def settled(self) -> _Count:
        """Looked at again if something is being made: what got its name meanwhile was perhaps seen under neither.

        Only while nobody takes anything away: what went between the looks would count.
        """
        if self.begun:
            self._look()
        return self

    def _look(self) -> None:
        for parent, folders, names in (found for folder in self.folders for found in os.walk(folder)):
            self.begun |= {Path(parent, name) for name in folders if WORKSHOP.fullmatch(name)}
            for name in names:
                if name.endswith(".lock"):
                    self.begun.add(Path(parent, name))
                with suppress(FileNotFoundError):  # it has just gone
                    known = os.stat(os.path.join(parent, name))  # noqa: PTH116, PTH118 (a third of the time)
                    self.sizes[known.st_dev, known.st_ino] = _size(name, known)
                    self.latest = max(self.latest, known.st_mtime_ns)


def _size(name: str, known: os.stat_result) -> int:
    return known.st_blocks * _SECTOR if name.endswith(SPARSE) else known.st_size


def _set(path: Path, when: int) -> None:
    try:
        os.utime(path, ns=(when, when))
    except PermissionError:
        os.utime(path)  # whoever may write a file that is another's may set its time to now


def _rounded(size: int) -> str:
    """A number of bytes, not less, in a form that the variable takes."""
    for unit, word in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{-(-size // unit)}{word}"
    return str(size)
