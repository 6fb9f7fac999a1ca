"""Average confidence: how sure a model is of the target's images, once its temperature is set on source images.

D. Hendrycks, K. Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks",
ICLR 2017. The temperature is that of C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
Networks", ICML 2017. With logits z_i of image i and y_i its class::

    T = argmin_T  mean over source validation of -log softmax(z_i / T)_{y_i}
    average confidence = mean over the target of max_c softmax(z_i / T)_c

in [0, 1]: an estimate of the accuracy on the target. T is looked for between exp(-4) and exp(4): where every source
image is classified correctly no temperature is the best.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float64]
"""Of examples and classes, ``[n, C]``, the largest of each row 0."""
_WIDEST = 4.0


def average_confidence(target: Logits, at: float) -> float:
    """The mean over examples of the largest probability, at a temperature."""
    return float(np.mean(1 / np.exp(target / at).sum(1)))


def temperature(source: Logits, labels: NDArray[np.int64]) -> float:
    """The temperature at which labelled examples are the most probable."""
    from scipy.optimize import minimize_scalar  # whoever only reads what is noted waits a quarter of a second less

    true = source[np.arange(len(labels)), labels]

    def nll(log: float) -> float:
        scale = np.exp(-log)
        return float(np.mean(np.log(np.exp(source * scale).sum(1)) - true * scale))

    return float(np.exp(minimize_scalar(nll, bounds=(-_WIDEST, _WIDEST), method="bounded").x))
