"""What a reader finds: which pictures a dataset has, before any of them is decoded.

A reader never moves, renames or writes anything where the data lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
"""RGB, ``[height, width, 3]``."""


class Pictures(Protocol):
    """The pictures of one domain by row, wherever they lie: files, rows of a table, slices of an array.

    They travel to worker processes, so they hold paths, never open files.
    """

    def __len__(self) -> int:
        """How many there are."""

    def name(self, row: int) -> str:
        """What people call it: a path, or a file and a row."""

    def stamp(self, row: int) -> str:
        """A short text that changes when the content may have changed (size and time of its file); cheap."""

    def digest(self, row: int) -> bytes:
        """SHA-256 of the content as it lies there; raises DataError that names a picture that cannot be read."""

    def open(self, row: int) -> AbstractContextManager[Image.Image]:
        """The picture as it lies there, of any mode, for ``decode.as_rgb``; what is behind its header is read when it
        is asked for. While it is open there is room for its pixels.

        DataError, also inside the block, names a picture that cannot be decoded.
        """

    def read(self, row: int) -> Picture:
        """The whole picture as RGB, decoded in the way that is the default."""


@dataclass(frozen=True)
class DomainListing:
    """One domain.

    Attributes:
        name: As on the card.
        pictures: In an order that depends on the content of the dataset alone (sorted names, rows of a table).
        labels: Class numbers, int64 ``[n]``, or values, float64 ``[n]``.
        groups: Pictures with one group number never part ways in a split, int64 ``[n]``.
        official: ``train``, ``validation`` or ``test`` for each picture, where the dataset comes with splits; ``<U10``.
        judged: The official group of each picture, by its place on the card, int64 ``[n]``; None where there is none.
            Splits do not look at it.
        contents: The first 64 bits of the digest of each picture, uint64 ``[n]``, once they are known.
        part_of: The domain of the card that this is one of, where the card's is many.
    """

    name: str
    pictures: Pictures
    labels: NDArray[Any]
    groups: NDArray[np.int64]
    official: NDArray[np.str_] | None = None
    contents: NDArray[np.uint64] | None = None
    judged: NDArray[np.int64] | None = None
    part_of: str | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def without(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Those of the dataset's classes that it has no example of."""
        if not classes:
            return ()
        there = np.bincount(self.labels, minlength=len(classes)) > 0
        return tuple(name for name, is_there in zip(classes, there, strict=True) if not is_there)


@dataclass(frozen=True)
class Part:
    """An official part, in the order of the dataset's own table, without its pictures.

    Attributes:
        labels: As of :class:`DomainListing`.
        judged: As of :class:`DomainListing`.
    """

    labels: NDArray[Any]
    judged: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Listing:
    """A dataset before decoding; domains in the card's order.

    Attributes:
        left_out: Files that lie among the pictures and are images, too, but are not read: how many of each kind, as
            ``{".heic": 3}``.
    """

    name: str
    classes: tuple[str, ...]
    domains: tuple[DomainListing, ...]
    shared_groups: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)
