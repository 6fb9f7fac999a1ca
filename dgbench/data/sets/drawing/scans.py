"""The 1,797 scanned digits of UCI optdigits that scikit-learn brings along, each 8x8 in shades from 0 to 16.

Its file is read without it: importing scikit-learn takes longer than drawing all other digits.
"""

from __future__ import annotations

from importlib.metadata import distribution

import numpy as np
from numpy.typing import NDArray


def scans() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The pictures, ``[n, 8, 8]``, and which digit each shows."""
    file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    rows = np.loadtxt(str(file), delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
