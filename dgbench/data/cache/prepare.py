"""Decode once: the pictures of a dataset as square images in memory-mapped files, one array for each domain.

What is prepared is a folder of arrays and a JSON file that is written last, with a hash of every block of every array.
Whoever opens it hashes all of it again, in threads; what is damaged is prepared anew.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import secrets
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgbench.core.amounts import in_words
from dgbench.core.decoding import AS_LOADERS, Decoding
from dgbench.core.errors import DataError
from dgbench.core.files import write_json
from dgbench.core.in_use import mapped, use
from dgbench.core.locks import in_turn, workshop
from dgbench.core.names import file_name
from dgbench.core.paths import cache_root
from dgbench.core.processes import Pool, WorkerDiedError, cores
from dgbench.data.cache.kept import ABOUT, lock_of, shelf
from dgbench.data.domain import Dataset, Domain
from dgbench.data.listing import Listing, Pictures
from dgbench.data.pixels.in_flight import PIXELS, Room, share
from dgbench.data.pixels.square import Resize, form, squared

log = logging.getLogger(__name__)

VERSION = 1
"""Raised when the same pictures become other images."""
_BLOCK = 16 * 2**20
"""Bytes that one hash covers."""
_ROWS = 32
"""Pictures that a worker decodes in one go; fewer than that are not worth a process."""
_ELSE = (
    "; or set DGBENCH_CACHE to a folder on a larger disk, choose a smaller size, or set DGBENCH_STREAM=1 to decode "
    "pictures whenever they are needed"
)


@dataclass(frozen=True)
class Format:
    """What is made of which data; it decides the folder.

    Attributes:
        manifest: Of the data.
        size: Side of an image in pixels.
        resize: How a picture becomes a square.
        decoding: How its file becomes RGB.
    """

    manifest: str
    size: int
    resize: Resize
    decoding: Decoding

    @property
    def folder(self) -> Path:
        """Where it lies when it is whole."""
        return cache_root() / "decoded" / f"{self.manifest[:16]}-{form(self.size, self.resize, self.decoding)}"

    def spec(self) -> dict[str, object]:
        """It, as plain JSON."""
        made = {"version": VERSION, "manifest": self.manifest, "size": self.size, "resize": self.resize}
        words = self.decoding.words()  # the default has none: what was prepared before there was a choice stays good
        return made | ({"decoding": list(words)} if words else {})


def prepare(
    listing: Listing,
    manifest: str,
    size: int,
    resize: Resize,
    decoding: Decoding = AS_LOADERS,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:
    """The images of a dataset, read from the cache where they are there and whole, else decoded now.

    Args:
        listing: What is there.
        manifest: Of the listing.
        size: Side of an image in pixels.
        resize: How a picture becomes a square.
        decoding: How its file becomes RGB.
        workers: Processes that decode; one for each CPU core by default.
        progress: Is told how many pictures are decoded, and how many there are.

    Returns:
        A dataset whose inputs are memory-mapped, uint8 ``[n, size, size, 3]``. They stay in the cache as long as one
        of them lives.

    Raises:
        DataError: a picture cannot be decoded, or the cache or its disk is too small; nothing is left behind then.
    """
    made = Format(manifest, size, resize, decoding)
    arrays = _read(made, listing)
    if arrays is None:
        with in_turn(lock_of(made.folder)):
            arrays = _read(made, listing)  # another process may have prepared it meanwhile
            if arrays is None:
                written = _build(made, listing, workers or cores(), progress)
                arrays = _read(made, listing)
                del written
    if arrays is None:
        raise DataError(f"the images just written to {made.folder} are not what was written; is the disk sound?")
    shelf().used(made.folder / ABOUT)
    domains = tuple(
        Domain(d.name, array, d.labels, d.groups, d.official, d.contents, d.judged, d.part_of)
        for d, array in zip(listing.domains, arrays, strict=True)
    )
    made_as = form(size, resize, decoding)
    return Dataset(listing.name, listing.classes, domains, manifest, listing.shared_groups, made_as)


def _read(made: Format, listing: Listing) -> list[NDArray[np.uint8]] | None:
    """The arrays, every block of them hashed; None where there are none, or some that cannot be trusted."""
    try:
        with use(made.folder / ABOUT) as file:
            about = json.load(file)
            arrays = [mapped(_array(made.folder, d.name)) for d in listing.domains]
        if about["spec"] != made.spec():
            reason = f"they were made as {about['spec']}"
        elif about["blocks"] != {d.name: list(_hashes(_array(made.folder, d.name))) for d in listing.domains}:
            reason = "their content is not what was written"
        else:
            return arrays
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        if not (made.folder / ABOUT).is_file():
            return None
        reason = str(error)
    log.warning("the prepared images in %s are damaged (%s): they are prepared anew", made.folder, reason)
    return None


def _array(folder: Path, domain: str) -> Path:
    return folder / f"{file_name(domain)}.npy"


def _hashes(path: Path) -> Iterator[str]:
    """SHA-256 of each block of a file."""
    content = np.memmap(path, np.uint8, "r")
    with ThreadPoolExecutor(cores()) as pool:  # hashing lets other threads run
        starts = range(0, len(content), _BLOCK)
        yield from pool.map(lambda start: hashlib.sha256(content[start : start + _BLOCK].data).hexdigest(), starts)


def _build(
    made: Format, listing: Listing, workers: int, progress: Callable[[int, int], None]
) -> list[NDArray[np.uint8]]:
    """Fill a folder beside the final one, and give it the final name when it is whole. The caller holds the lock.

    What is returned keeps others from taking the folder away again.
    """
    parent, name = made.folder.parent, made.folder.name
    if made.folder.exists():  # damaged
        shutil.rmtree(made.folder)
    _refuse_small_cache(made, listing)
    partial = parent / f".{name}.{secrets.token_hex(8)}"
    with ExitStack() as stack:
        with shelf().room(_bytes(made, listing)):
            _refuse_small_disk(made, listing)
            parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(workshop(partial))
            tasks = _tasks(made, listing, partial)
        log.info("decoding '%s' into %s", listing.name, made.folder)
        try:
            _decode(tasks, [d.pictures for d in listing.domains], workers, progress)
            blocks = {d.name: list(_hashes(_array(partial, d.name))) for d in listing.domains}
            # Nothing but this file is flushed to the disk: whatever a power cut takes, the hashes tell.
            write_json(partial / ABOUT, {"spec": made.spec(), "dataset": listing.name, "blocks": blocks})
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _too_small(made, listing) from error
        arrays = [mapped(_array(partial, d.name)) for d in listing.domains]
        partial.replace(made.folder)
        return arrays


def room_for(counts: Iterable[int], size: int) -> int:
    """Bytes that decoded domains of so many pictures take, at most: pixels, headers, and a line for each hash."""
    pixels = [count * size**2 * 3 for count in counts]
    return 1000 + sum(count + count // _BLOCK * 100 + 1000 for count in pixels)


def _bytes(made: Format, listing: Listing) -> int:
    return room_for(map(len, listing.domains), made.size)


def _refuse_small_cache(made: Format, listing: Listing) -> None:
    needed, bound = _bytes(made, listing), shelf().bound()
    if bound is not None and needed > bound:
        raise DataError(
            f"'{listing.name}' at {made.size} x {made.size} pixels: {shelf().refusal(needed, bound)}{_ELSE}"
        )


def _refuse_small_disk(made: Format, listing: Listing) -> None:
    if _bytes(made, listing) > shelf().free():
        raise _too_small(made, listing)


def _too_small(made: Format, listing: Listing) -> DataError:
    return DataError(
        f"'{listing.name}' at {made.size} x {made.size} pixels needs {in_words(_bytes(made, listing))}, but "
        f"{in_words(shelf().free())} are free in {made.folder.parent}{_ELSE}"
    )


@dataclass(frozen=True)
class _Task:
    """Some rows of a domain, and where their images go: ``offset`` bytes into the file at ``path``."""

    domain: int
    rows: range
    path: Path
    offset: int
    made: Format


def _tasks(made: Format, listing: Listing, folder: Path) -> list[_Task]:
    """All there is to decode; the files are made, with nothing in them yet."""
    tasks = []
    for number, domain in enumerate(listing.domains):
        path, shape = _array(folder, domain.name), (len(domain), made.size, made.size, 3)
        header = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).offset
        for start in range(0, len(domain), _ROWS):
            rows = range(start, min(start + _ROWS, len(domain)))
            offset = header + start * made.size**2 * 3
            tasks.append(_Task(number, rows, path, offset, made))
    return tasks


def _decode(
    tasks: Sequence[_Task], pictures: Sequence[Pictures], workers: int, progress: Callable[[int, int], None]
) -> None:
    done, total = 0, sum(len(task.rows) for task in tasks)
    with closing(_done(tasks, pictures, min(workers, total // _ROWS))) as counts:
        for count in counts:
            done += count
            progress(done, total)


def _done(tasks: Sequence[_Task], pictures: Sequence[Pictures], workers: int) -> Generator[int]:
    """Do the tasks in some order; for each, how many pictures it had."""
    if workers <= 1:
        yield from (_work(task, pictures[task.domain]) for task in tasks)
        return
    with closing(Room.shared(PIXELS)) as room, Pool(workers, _set_up, pictures, room, inherit=room.pipes()) as pool:
        try:
            for future in as_completed([pool.submit(_work_in_process, task) for task in tasks]):
                yield future.result()
        except WorkerDiedError as error:
            raise DataError(
                f"of the processes that decode pictures one is gone: {error}; with fewer workers less memory is "
                "needed: dgbench data prepare --workers 1"
            ) from error


_pictures: Sequence[Pictures] = ()
"""What a worker process decodes: it is sent once, since millions of paths are long."""


def _set_up(pictures: Sequence[Pictures], room: Room) -> None:
    global _pictures
    _pictures = pictures
    share(room)


def _work_in_process(task: _Task) -> int:
    return _work(task, _pictures[task.domain])


def _work(task: _Task, pictures: Pictures) -> int:
    made = task.made
    images = np.empty((len(task.rows), made.size, made.size, 3), np.uint8)
    for image, row in zip(images, task.rows, strict=True):
        image[:] = squared(pictures, row, made.size, made.resize, made.decoding)
    # Written, not mapped: where the disk is full, a write is an error and a mapping is a crash.
    with task.path.open("rb+") as file:
        file.seek(task.offset)
        file.write(images.data)
    return len(task.rows)
