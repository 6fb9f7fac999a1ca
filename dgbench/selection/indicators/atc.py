"""Average thresholded confidence (ATC): the share of target images that a model is surer of than of its mistakes.

S. Garg, S. Balakrishnan, Z. C. Lipton, B. Neyshabur, H. Sedghi, "Leveraging Unlabeled Data to Predict
Out-of-Distribution Performance", ICLR 2022. With c_i the confidence in the prediction of image i::

    t such that the share of source validation with c_i < t is the error there
    ATC = share of the target with c_i >= t

in [0, 1]: an estimate of the accuracy on the target. Deviation: confidences are taken as they are, where the paper also
scales them by a temperature; with more than a hundred classes that would need scores that are not kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Chances = NDArray[np.float64]
"""Confidence in each prediction, in [0, 1]."""


def atc(source: Chances, right: NDArray[np.bool_], target: Chances) -> float:
    """The estimate.

    Args:
        source, right: Of source validation the confidences, and which predictions are right.
        target: Confidences on the target.
    """
    wrong = int(len(right) - right.sum())
    threshold = np.inf if wrong == len(right) else np.sort(source)[wrong]
    return float(np.mean(target >= threshold))
