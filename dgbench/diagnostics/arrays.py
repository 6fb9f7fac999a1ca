"""The arrays that diagnostics are functions of."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.floating]
"""Images or features, a row each: ``[n, d]``."""
Labels: TypeAlias = NDArray[np.int64]
"""Class numbers from 0, ``[n]``."""
