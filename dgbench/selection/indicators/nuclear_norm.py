"""Nuclear norm: how sure a model is of the target's images, and over how many classes it spreads them.

W. Deng, Y. Suh, S. Gould, L. Zheng, "Confidence and Dispersity Speak: Characterizing Prediction Matrix for Unsupervised
Accuracy Estimation", ICML 2023. With P the probabilities of C classes for n images of the target::

    ||P||_* / sqrt(min(n, C) n)        the sum of the singular values of P, over the most that it can be

in (0, 1]: 1 where every image has one certain class, and all classes equally many images. The singular values are roots
of the eigenvalues of the smaller of P'P and PP', which is right to 1e-7.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def nuclear_norm(target: NDArray[np.float64]) -> float:
    """The norm of softmax of logits ``[n, C]``, the largest of each row 0."""
    weights = np.exp(target)
    chances = weights / weights.sum(1, keepdims=True)
    gram = chances.T @ chances if len(chances) >= chances.shape[1] else chances @ chances.T
    singular = np.sqrt(np.linalg.eigvalsh(gram).clip(0))
    return float(singular.sum() / np.sqrt(min(chances.shape) * len(chances)))
