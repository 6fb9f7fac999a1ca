"""Arrays in ``.npy`` files: read, never unpickled."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError
from dgbench.core.files import open_plain

# What numpy raises on damaged headers, which are literals of Python, and on shapes that no file has.
_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    SyntaxError,
    TypeError,
    OverflowError,
    RecursionError,
    MemoryError,
    TokenError,
)


def header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, from the first few bytes of its file; raises DataError where they say neither."""
    try:
        with open_plain(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    return shape, dtype


def mapped(path: Path) -> NDArray[Any]:
    """The array of a file, mapped.

    Raises:
        DataError: it is missing, damaged, or would have to be unpickled.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    return array


def _damaged(path: Path, error: BaseException) -> DataError:
    return DataError(f"{path} is no readable .npy file ({error}); fetch it again, or take it out of the dataset")


def head(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """What the file of such an array begins with; the numbers follow, row by row."""
    file = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()
