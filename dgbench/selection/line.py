"""Accuracy on the line: what source accuracy says of target accuracy, and who generalises better than it says.

J. Miller et al., "Accuracy on the Line: On the Strong Correlation Between Out-of-Distribution and In-Distribution
Generalization", ICML 2021, and R. Taori et al., "Measuring Robustness to Natural Distribution Shifts in Image
Classification", NeurIPS 2020. With z the quantile function of the standard normal distribution, least squares gives::

    z(target) = intercept + slope z(source)        over models; accuracies are shares
    effective robustness = target - z^-1(intercept + slope z(source))

There the line is that of models trained in the standard way; here it is that of all algorithms of a board, since no
board has many models of one of them. So effective robustness is over the other algorithms, and sums to about 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

EDGE = 0.0005
"""Shares are taken no nearer to 0 and 1 than this: on a probit scale those are infinitely far."""
LEAST = 3
"""Models that a line needs: through two there is always one."""
_FLAT = 1e-6
"""Probits that differ by less are the same."""


@dataclass(frozen=True)
class Line:
    """A line on the probit scale.

    Attributes:
        slope, intercept: Of the line.
        r2: Share of the variance of the targets' probits that it explains.
        n: Over how many models.
    """

    slope: float
    intercept: float
    r2: float
    n: int

    def expected(self, source: ArrayLike) -> NDArray[np.float64]:
        """The target accuracies that the line gives to source accuracies, in [0, 1]."""
        from scipy.special import ndtr  # a look at a store does without it

        return np.asarray(ndtr(self.intercept + self.slope * probit(source)))

    def robustness(self, source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Effective robustness: by how much target accuracies lie above the line, in [-1, 1]."""
        return np.asarray(target) - self.expected(source)


def probit(share: ArrayLike) -> NDArray[np.float64]:
    """Where shares lie on the probit scale."""
    from scipy.special import ndtri  # likewise

    return np.asarray(ndtri(np.clip(share, EDGE, 1 - EDGE)))


def fit(sources: Sequence[float], targets: Sequence[float]) -> Line | None:
    """The line through models; None where there are fewer than three, or either accuracy is the same for all.

    Args:
        sources, targets: Accuracies of each model on held-out source images and on the target, in [0, 1].
    """
    x, y = probit(sources), probit(targets)
    if len(x) < LEAST or np.ptp(x) <= _FLAT or np.ptp(y) <= _FLAT:
        return None
    across, up = x - x.mean(), y - y.mean()
    slope = float(across @ up / (across @ across))
    r2 = float((across @ up) ** 2 / (across @ across) / (up @ up))
    return Line(slope, float(y.mean() - slope * x.mean()), r2, len(x))
