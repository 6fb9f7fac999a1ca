"""Validation images under a shift: one drawn shift for each image and family, cached on disk.

What an image becomes depends on the data, its domain, its row, the family and the replica: neither on the order nor on
the number of workers, and not on which other rows are asked for.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from dgbench.core.errors import DataError
from dgbench.core.files import whole
from dgbench.core.paths import cache_root
from dgbench.core.seeds import seed
from dgbench.core.shift_families import VIEWS_VERSION
from dgbench.data.domain import Dataset
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

    Raises:
        UnknownNameError: there is no such family.
    """
    path = _path(dataset, domain, rows, family, replica)
    expected = (len(rows), *dataset.domain(domain).inputs.shape[1:])
    images = _read(path, expected)
    if images is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            images = _read(path, expected)  # another process may have drawn them meanwhile
            if images is None:
                with whole(path) as temporary:
                    _draw(dataset, domain, rows, family, replica, temporary, progress)
                images = _read(path, expected)
    if images is None:
        raise DataError(f"the images just written to {path} cannot be read; is the disk sound?")
    return images


def drawn(dataset: Dataset, domain: str, rows: NDArray[np.int64], family: str, replica: int = 0) -> bool:
    """Whether :func:`shifted` has nothing to draw."""
    expected = (len(rows), *dataset.domain(domain).inputs.shape[1:])
    return _read(_path(dataset, domain, rows, family, replica), expected) is not None


def _draw(
    dataset: Dataset,
    domain: str,
    rows: NDArray[np.int64],
    family: str,
    replica: int,
    path: Path,
    progress: Callable[[int], None],
) -> None:
    """Fill the file ``path``, picture by picture: all of them may be more than memory holds."""
    inputs = dataset.domain(domain).inputs
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), *inputs.shape[1:])}
    # Written, not mapped: where the disk is full, a write is an error and a mapping is a crash.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for number, row in enumerate(rows.tolist()):
            name = ("view", VIEWS_VERSION, dataset.manifest, domain, row, family, replica)
            file.write(shift(inputs[rows[number : number + 1]][0], family, seed(*name)).tobytes())
            if (number + 1) % _TOLD == 0:
                progress(_TOLD)
    progress(len(rows) % _TOLD)


def _path(dataset: Dataset, domain: str, rows: NDArray[np.int64], family: str, replica: int) -> Path:
    chosen = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16]
    form = dataset.form or "x".join(map(str, dataset.domain(domain).inputs.shape[1:3]))
    folder = cache_root() / "views" / f"v{VIEWS_VERSION}" / dataset.manifest[:16] / form / domain
    return folder / f"{family}-{replica}-{chosen}.npy"


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """What the file holds; None where there is none, or one that cannot be trusted."""
    if not path.is_file():
        return None
    try:
        images: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        log.warning("the cached images in %s are damaged (%s): they are drawn anew", path, error)
        return None
    if images.shape != shape or images.dtype != np.uint8:
        log.warning("the cached images in %s are %s %s: they are drawn anew", path, images.dtype, images.shape)
        return None
    return images
