"""MNIST, and sets in its form such as Fashion-MNIST, read from the raw files as every source of them has them.

LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition. Proceedings of the IEEE, 1998.
A file (IDX) is two bytes 0, the type of its values (8: one byte each), the number of axes, the length of each axis as
four bytes with the highest first, and the values. Files may be packed with gzip.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError
from dgbench.core.files import open_plain

SIDE = 28
_LARGEST = 1 << 26
"""Bytes of a file, unfolded. The largest has 47,040,016."""
_AXES = 3
"""That a file has at most: images, rows, columns."""
_FOLDERS = (".", "raw", "MNIST/raw", "MNIST", "FashionMNIST/raw")


@dataclass(frozen=True)
class Digits:
    """Grey images, light on dark, uint8 ``[n, 28, 28]``, and their classes, int64 ``[n]`` in 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Digits:
        """Some of them."""
        return Digits(self.images[rows], self.labels[rows])

    def rgb(self) -> NDArray[np.uint8]:
        """The images with three equal channels, ``[n, 28, 28, 3]``."""
        return np.repeat(self.images[..., None], 3, axis=3)


def read(root: Path) -> tuple[Digits, Digits]:
    """The training part and the test part, in the order of the files.

    Args:
        root: The folder of the four files, or one with ``raw`` or ``MNIST/raw`` in it, as torchvision makes them.

    Raises:
        DataError: a file is missing, damaged, or holds something else.
    """
    train, test = (_part(root, name) for name in ("train", "t10k"))
    return train, test


def read_all(root: Path) -> Digits:
    """Both parts, the training part first; see ``read``."""
    train, test = read(root)
    return Digits(np.concatenate([train.images, test.images]), np.concatenate([train.labels, test.labels]))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The values of one file, packed or not.

    Raises:
        DataError: it cannot be read, is no such file, or is cut short.
    """
    try:
        with open_plain(path) as packed, gzip.open(packed) if path.suffix == ".gz" else packed as file:
            content = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); fetch it again") from error
    if len(content) > _LARGEST:
        raise DataError(f"{path} unfolds to more than {_LARGEST:,} bytes, which no file of MNIST does; fetch it again")
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= _AXES:
        raise DataError(
            f"{path} is no IDX file of bytes with {_AXES} axes or fewer (it starts with "
            f"{content[:4].hex() or 'nothing'}); fetch it again"
        )
    axes = content[3]
    lengths, values = content[4 : 4 + 4 * axes], np.frombuffer(content, np.uint8)[4 + 4 * axes :]
    shape = struct.unpack(f">{axes}I", lengths) if len(lengths) == 4 * axes else None
    if shape is None or not len(values) or len(values) != math.prod(shape):
        raise DataError(f"{path} is cut short, or too long for what its head says; fetch it again")
    return values.reshape(shape)


def _part(root: Path, name: str) -> Digits:
    images = read_idx(_find(root, f"{name}-images", "idx3"))
    labels = read_idx(_find(root, f"{name}-labels", "idx1"))
    if images.shape != (len(images), SIDE, SIDE) or labels.shape != (len(images),) or labels.max(initial=0) > 9:
        raise DataError(
            f"{root}: the files '{name}-...' hold images {images.shape} and labels {labels.shape}; expected as many of "
            f"both, images {SIDE}x{SIDE} and labels from 0 to 9. Fetch all four again from one place"
        )
    return Digits(images, labels.astype(np.int64))


def _find(root: Path, stem: str, kind: str) -> Path:
    names = [f"{stem}{dot}{kind}-ubyte{packed}" for dot in "-." for packed in ("", ".gz")]
    places = [root / folder / name for folder in _FOLDERS for name in names]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise DataError(
            f"there is no {stem}-{kind}-ubyte (or .gz) in {root}, {root / 'raw'} or {root / 'MNIST' / 'raw'}; "
            "get the four files of MNIST (see docs/datasets.md) and put them there"
        )
    return found
