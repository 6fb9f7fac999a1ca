"""Where two domains differ, class by class: few coordinates by which a classifier tells them apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from dgbench.diagnostics.arrays import Labels

WIDTH = 2
"""Coordinates that are kept."""
_DECAY = 0.01
_STEPS = 200
_FLAT = 0.05
"""A coordinate that varies less than this, beside the widest, is none."""


def directions(
    points: NDArray[np.float64], labels: Labels, side: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.float64]:
    """``B``, ``[d, 2]``: the log-odds of the second domain, given ``x`` and its class, are ``x B v_y + b_y``.

    Found by penalised logistic regression (L-BFGS on ``B``, every ``v_y`` and ``b_y`` at once), so that a direction
    counts that separates the domains in one class alone, or in two classes the other way round.

    Args:
        points: ``[n, d]``, each coordinate with a variance of about one.
        labels: ``[n]``.
        side: Which are of the second domain, ``[n]``.
        generator: Draws where the search starts.
    """
    count, wide = points.shape
    classes = int(labels.max()) + 1
    member = np.eye(classes)[labels]
    sign = np.where(side, 1.0, -1.0)
    ends = np.cumsum([wide * WIDTH, WIDTH * classes])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        b, v, offset = np.split(flat, ends)
        b, v = b.reshape(wide, WIDTH), v.reshape(classes, WIDTH)
        seen, own = points @ b, v[labels]
        margin = sign * ((seen * own).sum(1) + offset[labels])
        slope = (-sign * expit(-margin) / count)[:, None]
        down = (points.T @ (slope * own) + _DECAY * b, member.T @ (slope * seen) + _DECAY * v, member.T @ slope)
        value = np.logaddexp(0, -margin).mean() + _DECAY / 2 * ((b**2).sum() + (v**2).sum())
        return float(value), np.concatenate([part.ravel() for part in down])

    start = [generator.normal(0, wide**-0.5, wide * WIDTH), generator.normal(0, 1, WIDTH * classes), np.zeros(classes)]
    best = minimize(loss, np.concatenate(start), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    found: NDArray[np.float64] = best.x[: ends[0]].reshape(wide, WIDTH)
    return found


def spread(seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates with mean 0 and variance 1, uncorrelated, ``[n, 1 or 2]``; without those that hardly vary.

    Args:
        seen: ``[n, 2]``.
    """
    across, sizes, _ = np.linalg.svd(seen - seen.mean(0), full_matrices=False)
    if sizes[0] <= 1e-6 * np.sqrt(len(seen)):  # nothing tells them apart
        return np.zeros((len(seen), 1))
    found: NDArray[np.float64] = across[:, sizes > _FLAT * sizes[0]] * np.sqrt(len(seen))
    return found
