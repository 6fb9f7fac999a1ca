"""How many bits of inductive bias it takes to generalise on a task.

A. Boopathy, K. Liu, J. Hwang, S. Ge, A. Mohammedsaleh, I. Fiete: Model-agnostic Measure of Generalization Difficulty,
ICML 2023. With intrinsic dimension ``m``, ``C`` classes, ``D = C - 1``, ``n`` examples, radius ``R`` and resolution
``delta``, and binomial coefficients of real numbers::

    M = 2 pi R / delta,  K = (sqrt((m - 1)^2 + 4 M^2) - m + 1) / 2,  E = binom(m + K, m) + binom(m + K - 1, m)
    W = sqrt(m / 6) (2 pi^((m + 1) / 2) C / Gamma((m + 1) / 2))^(1 / m) R n^(-1 / m)
    bits = (2 D C E - n D) log2( B sqrt(D C) / epsilon  K sqrt(D) / R  W ),  B = 1

``E`` is exponential in ``m``, so one dimension more or less moves it tenfold and farther; give it with that band. It
does not depend on the scale of the images, as ``R`` and ``delta`` have the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import gammaln

from dgbench.core.errors import DGBenchError


@dataclass(frozen=True)
class Task:
    """What generalisation difficulty depends on.

    Attributes:
        classes: How many, at least 2.
        examples: To learn from.
        radius: Largest norm of an image.
        resolution: Smallest distance between images of two classes.
        error: Error on the target, in (0, 1), that is to be reached: the paper's ``epsilon``.
    """

    classes: int
    examples: int
    radius: float
    resolution: float
    error: float = 0.01

    def __post_init__(self) -> None:
        for name, least in (("classes", 2), ("examples", 1)):
            if getattr(self, name) < least:
                raise DGBenchError(f"generalisation difficulty: {name} is {getattr(self, name)}; it is {least} or more")
        for name in ("radius", "resolution", "error"):
            if not 0 < getattr(self, name) < math.inf:
                raise DGBenchError(f"generalisation difficulty: {name} is {getattr(self, name)}; it is more than 0")


def difficulty(task: Task, dimension: float) -> float | None:
    """Common logarithm of the bits; None where the formula gives none or fewer.

    Args:
        task: All but the dimension.
        dimension: Intrinsic dimension of the images, more than 0.
    """
    m, n_outputs = dimension, task.classes - 1
    if m <= 0:
        raise DGBenchError(f"generalisation difficulty: dimension is {m}; it is more than 0")
    modes = 2 * math.pi * task.radius / task.resolution
    top = (math.sqrt((m - 1) ** 2 + 4 * modes**2) - m + 1) / 2
    # E in logarithms, as it leaves the floats: binom(m + K - 1, m) = binom(m + K, m) K / (m + K)
    log_e = float(gammaln(m + top + 1) - gammaln(m + 1) - gammaln(top + 1)) + math.log1p(top / (m + top))
    log_all = math.log(2 * n_outputs * task.classes) + log_e
    log_told = math.log(task.examples * n_outputs)
    log_sphere = math.log(2) + (m + 1) / 2 * math.log(math.pi) + math.log(task.classes) - float(gammaln((m + 1) / 2))
    log_w = 0.5 * math.log(m / 6) + (log_sphere - math.log(task.examples)) / m + math.log(task.radius)
    each = (
        0.5 * math.log(n_outputs * task.classes)
        - math.log(task.error)
        + math.log(top * math.sqrt(n_outputs) / task.radius)
        + log_w
    ) / math.log(2)
    if log_all <= log_told or each <= 0:
        return None
    return (log_all + math.log1p(-math.exp(log_told - log_all))) / math.log(10) + math.log10(each)
