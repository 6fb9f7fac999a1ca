"""The 1,797 scanned digits of UCI optdigits that scikit-learn brings along, each 8x8 in shades from 0 to 16.

Its file is read without it where it lies where it always did: importing scikit-learn takes longer than drawing all
other digits.
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Scans = tuple[NDArray[np.float64], NDArray[np.int64]]


def scans() -> Scans:
    """The pictures, ``[n, 8, 8]``, and which digit each shows."""
    file = Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")))
    return _read(file) if file.is_file() else _loaded()


def _read(file: Path) -> Scans:
    rows = np.loadtxt(file, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)


def _loaded() -> Scans:
    """As scikit-learn gives them, wherever it has them."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images, found.target.astype(np.int64)
