"""What makes accuracies differ: targets, trials, draws of hyperparameters, and the algorithms themselves.

The accuracies y of A algorithms in T targets, each with K trials of its own, each with D draws of its own, are taken
for sums of independent random terms, some shared by all algorithms, some an algorithm's own::

    y_atkd = mean + algorithm_a + target_t + trial_tk + draw_tkd + own target_at + own trial_atk + own draw_atkd

Trials and draws are shared since all algorithms of a trial see the same splits and batches, and have the same value of
a hyperparameter that they have in common. What is shared cancels in differences. Variances are estimated by moments, as
for any balanced nested design (S. R. Searle, G. Casella, C. E. McCulloch, *Variance Components*, Wiley 1992, chapter
4): with S and O the mean squares over targets, over trials within targets and over draws within trials, of the mean
over algorithms and of deviations from it,

    E O_draw   = own draw                                  E (S - O / A) is the same of the shared terms
    E O_trial  = own draw + D own trial
    E O_target = own draw + D own trial + K D own target   E S_algorithm = O_target + T K D algorithm

An estimate may come out below 0, which says that there is little; it is given as 0. With one draw what draws do is
part of trials, with one target what an algorithm's own targets do is part of algorithms: neither can be told apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Component:
    """The variance of one kind of term.

    Attributes:
        level: ``algorithm``, ``target``, ``trial`` or ``draw``.
        own: Whether it is an algorithm's own, and not shared by all.
        variance: In squared shares; None where the design cannot tell it from others.
        df: Degrees of freedom of the mean square that it was seen in; 0 where there is none.
    """

    level: str
    own: bool
    variance: float | None
    df: int = 0

    @property
    def deviation(self) -> float | None:
        """The standard deviation, in shares."""
        return None if self.variance is None else math.sqrt(self.variance)


@dataclass(frozen=True)
class Split:
    """What accuracies vary by.

    Attributes:
        algorithms, targets, trials, draws: How many there are: trials of each target, draws of each trial.
        components: Of algorithms, then of targets, trials and draws: shared, and each algorithm's own.
    """

    algorithms: int
    targets: int
    trials: int
    draws: int
    components: tuple[Component, ...]

    @property
    def total(self) -> float:
        """The sum of all variances: that of a single accuracy."""
        return sum(one.variance or 0.0 for one in self.components)

    def share(self, one: Component) -> float | None:
        """What a component has of the total, in [0, 1]; None where it is not known, or nothing varies."""
        return None if one.variance is None or not self.total else one.variance / self.total


def split(values: Array) -> Split:
    """The components of variance of accuracies.

    Args:
        values: (algorithms, targets, trials, draws), at least two algorithms and two trials.

    Raises:
        ValueError: the design is too small, or a value is missing.
    """
    if values.ndim != 4 or values.shape[0] < 2 or values.shape[2] < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"a split of variance needs two algorithms, two trials and no gap in between, got the shape {values.shape}"
        )
    many, targets, trials, draws = values.shape
    common = values.mean(axis=0, keepdims=True)
    alone = values - common
    alone -= alone.mean(axis=(1, 2, 3), keepdims=True)
    shared, own = _mean_squares(common, 1), _mean_squares(alone, many - 1)
    within = {level: (square - own[level][0] / many, df) for level, (square, df) in shared.items()}
    among = targets * trials * draws * float(values.mean(axis=(1, 2, 3)).var(ddof=1))
    level = "target" if "target" in own else "trial"
    algorithm = Component("algorithm", True, max((among - own[level][0]) / (targets * trials * draws), 0.0), many - 1)
    components = [algorithm]
    for name in ("target", "trial", "draw"):
        for is_own, squares in ((False, within), (True, own)):
            components.append(_component(name, is_own, squares, {"target": trials * draws, "trial": draws, "draw": 1}))
    return Split(many, targets, trials, draws, tuple(components))


_BELOW = {"target": "trial", "trial": "draw", "draw": ""}


def _component(level: str, own: bool, squares: dict[str, tuple[float, int]], repeats: dict[str, int]) -> Component:
    """What a level adds to the mean square of the level below, for each repetition."""
    if level not in squares:
        return Component(level, own, None)
    square, df = squares[level]
    below = squares.get(_BELOW[level], (0.0, 0))[0]
    return Component(level, own, max((square - below) / repeats[level], 0.0), df)


def _mean_squares(values: Array, free: int) -> dict[str, tuple[float, int]]:
    """Mean squares over targets, trials and draws, as far as there are several, with their degrees of freedom.

    Args:
        values: (some algorithms, targets, trials, draws).
        free: How many of the algorithms are free.
    """
    _, targets, trials, draws = values.shape
    trial = values.mean(axis=3, keepdims=True)
    target = trial.mean(axis=2, keepdims=True)
    overall = target.mean(axis=1, keepdims=True)
    sums = {
        "target": (trials * draws * ((target - overall) ** 2).sum(), targets - 1),
        "trial": (draws * ((trial - target) ** 2).sum(), targets * (trials - 1)),
        "draw": (((values - trial) ** 2).sum(), targets * trials * (draws - 1)),
    }
    return {level: (float(total) / (free * df), free * df) for level, (total, df) in sums.items() if df}
