"""CIFAR's binary files: for each picture its label, then its red, its green and its blue plane."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError
from dgbench.data.pixels.pictures import stamp

SIDE = 32
_RECORD = 1 + 3 * SIDE * SIDE


def records(path: Path) -> NDArray[np.uint8]:
    """The records of a file, mapped, ``[n, 3073]``.

    Raises:
        DataError: the file cannot be read, or does not hold whole records.
    """
    return _records(path, stamp(path))


def images(records: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pictures in some records, ``[n, 32, 32, 3]``."""
    return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))


@lru_cache(maxsize=16)
def _records(path: Path, _stamp: str) -> NDArray[np.uint8]:
    size = path.stat().st_size
    if size == 0 or size % _RECORD:
        raise DataError(f"{path} has {size} bytes, no multiple of {_RECORD}; fetch it again")
    return np.memmap(path, np.uint8, mode="r", shape=(size // _RECORD, _RECORD))
