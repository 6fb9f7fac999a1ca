"""Validation images under a shift: one drawn shift for each image and family, cached on disk by picture.

What an image becomes depends on the data, its domain, its row, the family and the replica: neither on the order nor on
the number of workers, and not on which other rows are asked for. So each is drawn once for all that look at it.

A file holds the pictures of a domain under one family: a checksum for each row of the domain (CRC-32 of its pixels, 0
where nothing was drawn), then a place for the pixels of each, which takes no room on the disk before they are drawn.
Any number of processes draw into it at once. Checksums are written last, and whoever reads compares them: what a killed
process or a power cut left half-written counts as not drawn, and what is damaged is drawn anew.
"""

from __future__ import annotations

import errno
import logging
import os
import weakref
import zlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgbench.core.disk import writing
from dgbench.core.errors import UnknownNameError
from dgbench.core.files import whole
from dgbench.core.in_use import use
from dgbench.core.locks import names
from dgbench.core.names import file_name
from dgbench.core.paths import cache_root
from dgbench.core.seeds import seed
from dgbench.core.shelf import SPARSE
from dgbench.core.shift_families import FAMILIES, VIEWS_VERSION
from dgbench.data.cache.kept import shelf
from dgbench.data.domain import Dataset
from dgbench.data.shifts import shift
from dgbench.data.splits import Rows

log = logging.getLogger(__name__)

_TOLD = 32
"""Images between two words about how far it is."""
_SUM = np.dtype("<u4")
_BLOCK = 4096
"""Bytes that a file system gives at a time."""
_EXTENTS = 256
"""Rows whose places a file system can note in a block, at least."""
_NOT_RESERVED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Shifted:
    """The images of some rows of a domain, each under one shift of a family, drawn when they are first looked at.

    Their file stays in the cache from then on as long as this object lives.

    Args:
        dataset: Where the images are from.
        domain: Its domain.
        rows: Which images.
        family: One of ``FAMILIES``.
        replica: Another number draws other shifts.
        kept: Whether what is drawn goes into the cache; what is there already is read in any case.

    Raises:
        UnknownNameError: there is no such family.
    """

    def __init__(
        self, dataset: Dataset, domain: str, rows: Rows, family: str, replica: int = 0, *, kept: bool = True
    ) -> None:
        self.rows = rows
        self.kept = kept
        self._inputs = dataset.domain(domain).inputs
        self._shape = self._inputs.shape[1:]
        self._family = family
        self._replica = replica
        self._names = (dataset.manifest, domain)
        self._path = file_of(dataset, domain, family, replica)
        self._layout = _Layout.of(dataset, domain)
        self._handle: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, height, width, 3)``."""
        return (len(self.rows), *self._shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images at some places among the rows, ``[len(places), height, width, 3]``.

        Raises:
            DiskError: they are to be kept, and the cache cannot be written, or may not take as much.
        """
        rows = self.rows[places]
        images = np.empty((len(rows), *self._shape), np.uint8)
        lacking = self._read(rows.tolist(), images)
        if lacking:
            for place in lacking:
                images[place] = self._draw(int(rows[place]))
            if self.kept:
                self._write(rows[lacking], images[lacking])
        return images

    def draw(self, progress: Callable[[int], None] = lambda images: None) -> None:
        """Draw what was not drawn yet.

        Args:
            progress: Is told of every so many images that they are drawn.
        """
        for first in range(0, len(self.rows), _TOLD):
            places = np.arange(first, min(first + _TOLD, len(self.rows)))
            self[places]
            progress(len(places))

    def _draw(self, row: int) -> NDArray[np.uint8]:
        image = self._inputs[np.array([row])][0]
        named = ("view", VIEWS_VERSION, *self._names, row, self._family, self._replica)
        return shift(image, self._family, seed(*named))

    def _opened(self) -> int | None:
        """The file, open for reading and in use; None where there is none, or it is not what is written here."""
        if self._handle is not None and names(self._path, self._handle):
            return self._handle
        self._handle = None
        try:
            with use(self._path) as file:
                if self._layout.fits(file.fileno()):
                    self._handle = os.dup(file.fileno())  # it keeps the file in use
                    weakref.finalize(self, os.close, self._handle)
                    shelf().used(self._path)
                else:
                    log.warning("%s is damaged: its images are drawn anew", self._path)
        except FileNotFoundError:
            pass
        return self._handle

    def _read(self, rows: list[int], images: NDArray[np.uint8]) -> list[int]:
        """Fill in what is there; the places of all others."""
        handle = self._opened()
        if handle is None:
            return list(range(len(rows)))
        lacking, damaged = [], 0
        for place, row in enumerate(rows):
            noted = int.from_bytes(os.pread(handle, _SUM.itemsize, self._layout.sum_at(row)), "little")
            pixels = os.pread(handle, self._layout.image, self._layout.image_at(row)) if noted else b""
            if noted and _sum(pixels) == noted:
                images[place] = np.frombuffer(pixels, np.uint8).reshape(self._shape)
            else:
                lacking.append(place)
                damaged += noted != 0
        if damaged:
            log.warning("%d images in %s are damaged: they are drawn anew", damaged, self._path)
        return lacking

    def _write(self, rows: Rows, images: NDArray[np.uint8]) -> None:
        layout = self._layout
        needed = layout.bytes(rows) + (layout.overhead(rows) if self._opened() is None else 0)
        with writing(cache_root()), ExitStack() as stack:
            with shelf().room(needed):
                if self._opened() is None:
                    with whole(self._path) as temporary:
                        os.truncate(temporary, layout.length)
                    self._opened()  # it is in use before others look for something to take away
                file = stack.enter_context(self._path.open("rb+", buffering=0)).fileno()
                _reserve(file, [(0, layout.first), *((layout.image_at(row), layout.image) for row in rows.tolist())])
            # Written, not mapped: where the disk is full, a write is an error and a mapping is a crash.
            for row, image in zip(rows.tolist(), images, strict=True):
                pixels = image.tobytes()
                os.pwrite(file, pixels, layout.image_at(row))
                os.pwrite(file, _sum(pixels).to_bytes(_SUM.itemsize, "little"), layout.sum_at(row))
        shelf().used(self._path)


def undrawn(dataset: Dataset, domain: str, rows: Rows, family: str, replica: int = 0) -> Rows:
    """Those of some rows that :class:`Shifted` would have to draw, as far as checksums are there."""
    layout = _Layout.of(dataset, domain)
    try:
        with use(file_of(dataset, domain, family, replica)) as file:
            if layout.fits(file.fileno()):
                sums = np.frombuffer(os.pread(file.fileno(), layout.count * _SUM.itemsize, 0), _SUM)
                found: Rows = rows[sums[rows] == 0]
                return found
    except FileNotFoundError:
        pass
    return rows


def size_of(dataset: Dataset, domain: str, rows: Rows) -> int:
    """Bytes on the disk of a file that holds some rows of a domain, at most."""
    layout = _Layout.of(dataset, domain)
    return layout.bytes(rows) + layout.overhead(rows)


def file_of(dataset: Dataset, domain: str, family: str, replica: int = 0) -> Path:
    """Where the images of a domain under a family lie, as far as they are drawn.

    Raises:
        UnknownNameError: there is no such family.
    """
    if family not in FAMILIES:
        raise UnknownNameError("family of shifts", family, FAMILIES)
    form = dataset.form or "x".join(map(str, dataset.domain(domain).inputs.shape[1:3]))
    folder = cache_root() / "views" / f"v{VIEWS_VERSION}" / dataset.manifest[:16] / form / file_name(domain)
    return folder / f"{family}-{replica}{SPARSE}"


@dataclass(frozen=True)
class _Layout:
    """Where in a file what of a domain lies.

    Attributes:
        count: Rows of the domain.
        image: Bytes of one image.
    """

    count: int
    image: int

    @classmethod
    def of(cls, dataset: Dataset, domain: str) -> _Layout:
        count, height, width, channels = dataset.domain(domain).inputs.shape
        return cls(count, height * width * channels)

    @property
    def first(self) -> int:
        """Where images begin: checksums have blocks of their own."""
        return -(-self.count * _SUM.itemsize // _BLOCK) * _BLOCK

    @property
    def length(self) -> int:
        """Of the file, holes included."""
        return self.image_at(self.count)

    def image_at(self, row: int) -> int:
        """Where the pixels of a row begin."""
        return self.first + row * self.image

    def sum_at(self, row: int) -> int:
        """Where its checksum lies."""
        return row * _SUM.itemsize

    def fits(self, handle: int) -> bool:
        """Whether a file is as long as it must be."""
        return os.fstat(handle).st_size == self.length

    def bytes(self, rows: Rows) -> int:
        """What the pixels of some rows take, in whole blocks."""
        ends = np.unique(rows) * self.image + self.first + self.image
        first, last = (ends - self.image) // _BLOCK, (ends - 1) // _BLOCK
        counted = np.concatenate([[-1], last[:-1]])  # the last block of the row before may be the first of this one
        return int(np.maximum(last - np.maximum(first, counted + 1) + 1, 0).sum()) * _BLOCK

    def overhead(self, rows: Rows) -> int:
        """What a file takes beside the pixels of some rows, at most: checksums, and what the file system notes."""
        return self.first + (1 + len(rows) // _EXTENTS) * _BLOCK


def _sum(pixels: bytes) -> int:
    """CRC-32 of an image; never 0."""
    return zlib.crc32(pixels) or 1


def _reserve(handle: int, places: Iterable[tuple[int, int]]) -> None:
    """Take the room that will be written to, offset and bytes of each place, so that all who look see it taken."""
    if not hasattr(os, "posix_fallocate"):
        return  # it is taken as it is written
    for offset, size in places:
        try:
            os.posix_fallocate(handle, offset, size)
        except OSError as error:
            if error.errno not in _NOT_RESERVED:
                raise
