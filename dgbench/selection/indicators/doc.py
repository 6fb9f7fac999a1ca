"""Difference of confidences (DoC): what is right on source images, less what confidence falls by on the target.

D. Guillory, V. Shankar, S. Ebrahimi, T. Darrell, L. Schmidt, "Predicting with Confidence on Unseen Distributions",
ICCV 2021. With c_i the confidence in the prediction of image i::

    DoC = accuracy on source validation - (mean c_i on source validation - mean c_i on the target)

mostly in [0, 1]: an estimate of the accuracy on the target. The paper also learns how much the difference counts, from
shifts with labels; here it counts as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgbench.selection.indicators.atc import Chances


def doc(source: Chances, right: NDArray[np.bool_], target: Chances) -> float:
    """The estimate.

    Args:
        source, right: Of source validation the confidences, and which predictions are right.
        target: Confidences on the target.
    """
    return float(right.mean() - (source.mean() - target.mean()))
