"""MNIST in small: files in its form."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    """One file, packed where its name ends with ``.gz``."""
    content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(root: Path, train: int, test: int, end: str = "") -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """All four files, of images whose pixels are random but never black; returns all images and labels."""
    random = np.random.default_rng(0)
    images = random.integers(1, 256, (train + test, 28, 28), np.uint8)
    labels = random.integers(0, 10, train + test).astype(np.uint8)
    for part, rows in (("train", slice(train)), ("t10k", slice(train, None))):
        write_idx(root / f"{part}-images-idx3-ubyte{end}", images[rows])
        write_idx(root / f"{part}-labels-idx1-ubyte{end}", labels[rows])
    return images, labels
