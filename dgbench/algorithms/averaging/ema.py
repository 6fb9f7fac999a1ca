"""EMA: an exponential moving average of the weights after every step.

Morales-Brotons, Vogels, Hendrikx: Exponential Moving Average of Weights in Deep Learning: Dynamics and Benefits.
TMLR 2024. arXiv 2411.18704.

    mean_t = decay * mean_{t-1} + (1 - decay) * w_t        mean_0 = 0        result = mean_T / (1 - decay^T)

The division makes it a true weighted mean: a short training is not pulled towards anything. Code in common use starts
from the initial weights or ramps the decay up instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dgbench.algorithms.averaging.averaged import Averaged
from dgbench.algorithms.slots import State, Trajectory
from dgbench.core.pieces import DECAYS, exponential
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class EMA(Averaged):
    """Bias-corrected exponential average, at the end of training.

    Attributes:
        decay: Weight of the past; about the last ``1 / (1 - decay)`` steps count. One that trainings can record.
        statistics: As in :class:`Averaged`. Running statistics lag behind the weights, and their average lags twice.
    """

    decay: Fraction = 0.99
    statistics: Literal["average", "recompute"] = field(default="recompute", kw_only=True)

    def __post_init__(self) -> None:
        if self.decay not in DECAYS:
            raise ValueError(f"decay {self.decay} is not recorded by trainings; take one of {DECAYS}")

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate."""
        yield trajectory.steps[-1], trajectory.ema(self.decay)

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The average."""
        return frozenset({exponential(self.decay)})
