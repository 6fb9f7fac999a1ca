"""Validation images under a shift: one drawn shift for each image and family, cached on disk.

What an image becomes depends on the data, its domain, its row, the family and the replica: neither on the order nor on
the number of workers, and not on which other rows are asked for.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError
from dgbench.core.in_use import mapped
from dgbench.core.locks import in_turn
from dgbench.core.paths import cache_root
from dgbench.core.seeds import seed
from dgbench.core.shift_families import VIEWS_VERSION
from dgbench.data.cache.kept import lock_of, shelf
from dgbench.data.domain import Dataset
from dgbench.data.pixels.npy import head
from dgbench.data.shifts import shift

log = logging.getLogger(__name__)

_TOLD = 32
"""Images between two words about how far it is."""


def shifted(
    dataset: Dataset,
    domain: str,
    rows: NDArray[np.int64],
    family: str,
    replica: int = 0,
    progress: Callable[[int], None] = lambda images: None,
) -> NDArray[np.uint8]:
    """The images of some rows of a domain, each under one shift of a family, uint8 ``[len(rows), h, w, 3]``.

    Args:
        dataset: Where the images are from.
        domain: Its domain.
        rows: Which images.
        family: One of ``FAMILIES``.
        replica: Another number draws other shifts.
        progress: Is told of every so many images that they are drawn.

    Returns:
        A memory-mapped array. The file stays in the cache as long as it lives.

    Raises:
        UnknownNameError: there is no such family.
        DiskError: the cache cannot be written, or may not take as much.
    """
    path = file_of(dataset, domain, rows, family, replica)
    shape = _shape(dataset, domain, rows)
    images = _read(path, shape)
    if images is None:
        with in_turn(lock_of(path)):
            images = _read(path, shape)  # another process may have drawn them meanwhile
            if images is None:
                header = head(shape, np.dtype(np.uint8))
                with shelf().file(path, len(header) + math.prod(shape)) as temporary:
                    with temporary.open("rb+") as file:
                        file.write(header)
                        _draw(dataset, domain, rows, family, replica, file, progress)
                    images = _read(temporary, shape)  # in use before others can find it
    if images is None:
        raise DataError(f"the images just written to {path} cannot be read; is the disk sound?")
    shelf().used(path)
    return images


@dataclass(frozen=True)
class Passing:
    """The images that :func:`shifted` gives, drawn whenever they are looked at, and not kept."""

    dataset: Dataset
    domain: str
    rows: NDArray[np.int64]
    family: str
    replica: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, height, width, 3)``."""
        return _shape(self.dataset, self.domain, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images at some places among the rows, ``[len(places), height, width, 3]``."""
        images = np.empty((len(places), *self.shape[1:]), np.uint8)
        for image, row in zip(images, self.rows[places].tolist(), strict=True):
            image[:] = _image(self.dataset, self.domain, row, self.family, self.replica)
        return images


def drawn(dataset: Dataset, domain: str, rows: NDArray[np.int64], family: str, replica: int = 0) -> bool:
    """Whether :func:`shifted` has nothing to draw."""
    return _read(file_of(dataset, domain, rows, family, replica), _shape(dataset, domain, rows)) is not None


def size_of(dataset: Dataset, domain: str, rows: NDArray[np.int64]) -> int:
    """Bytes of the file of some rows of a domain under one family."""
    shape = _shape(dataset, domain, rows)
    return len(head(shape, np.dtype(np.uint8))) + math.prod(shape)


def _shape(dataset: Dataset, domain: str, rows: NDArray[np.int64]) -> tuple[int, ...]:
    return (len(rows), *dataset.domain(domain).inputs.shape[1:])


def _draw(
    dataset: Dataset,
    domain: str,
    rows: NDArray[np.int64],
    family: str,
    replica: int,
    file: BinaryIO,
    progress: Callable[[int], None],
) -> None:
    """Write picture by picture: all of them may be more than memory holds."""
    # Written, not mapped: where the disk is full, a write is an error and a mapping is a crash.
    for number, row in enumerate(rows.tolist()):
        file.write(_image(dataset, domain, row, family, replica).tobytes())
        if (number + 1) % _TOLD == 0:
            progress(_TOLD)
    progress(len(rows) % _TOLD)


def _image(dataset: Dataset, domain: str, row: int, family: str, replica: int) -> NDArray[np.uint8]:
    image = dataset.domain(domain).inputs[np.array([row])][0]
    return shift(image, family, seed("view", VIEWS_VERSION, dataset.manifest, domain, row, family, replica))


def file_of(dataset: Dataset, domain: str, rows: NDArray[np.int64], family: str, replica: int = 0) -> Path:
    """Where they lie, once they are drawn."""
    chosen = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16]
    form = dataset.form or "x".join(map(str, dataset.domain(domain).inputs.shape[1:3]))
    folder = cache_root() / "views" / f"v{VIEWS_VERSION}" / dataset.manifest[:16] / form / domain
    return folder / f"{family}-{replica}-{chosen}.npy"


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """What the file holds; None where there is none, or one that cannot be trusted."""
    try:
        images = mapped(path)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError) as error:
        log.warning("the cached images in %s are damaged (%s): they are drawn anew", path, error)
        return None
    if images.shape != shape or images.dtype != np.uint8:
        log.warning("the cached images in %s are %s %s: they are drawn anew", path, images.dtype, images.shape)
        return None
    return images
