"""The 1,797 handwritten digits of UCI optdigits, from the table that scikit-learn brings.

Importing scikit-learn takes seconds of a core, for which it would do no more than read the table.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def scans() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Ink from 0 to 16, ``[1797, 8, 8]``, and which digit each is."""
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", "rt", encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
