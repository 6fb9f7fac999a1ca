"""What every optimizer here shares: the rate and its schedule, weight decay, momentum and clipping."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dgbench.algorithms.slots import Optimizer
from dgbench.core.units import Fraction, NonNegative, Positive

Momentum = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Descent(Optimizer):
    """A learning rate that warms up linearly and then stays, or falls to 0 along a cosine.

    Attributes:
        lr: Learning rate after warm-up.
        weight_decay: Strength of weight decay, for all parameters alike.
        momentum: Decay of the mean of past gradients: beta_1 in AdamW, momentum in SGD.
        schedule: What the rate does after warm-up.
        warmup: Share of the steps in which the rate rises linearly to ``lr``.
        clip_norm: Largest L2 norm of the descent direction over all parameters; 0 leaves it alone.
    """

    lr: Positive = 5e-5
    weight_decay: NonNegative = 0.0
    momentum: Momentum = 0.9
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: Fraction = 0.0
    clip_norm: NonNegative = 0.0

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step, from 0; warm-up reaches ``lr`` at its last step."""
        rising = round(self.warmup * steps)
        if step < rising:
            return self.lr * ((step + 1) / rising)
        if self.schedule == "constant":
            return self.lr
        return self.lr * (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2

    def clip(self) -> float | None:
        """``clip_norm``, or None where it is 0."""
        return self.clip_norm or None
