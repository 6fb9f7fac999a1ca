"""What is timed of a machine: how long an image takes."""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.core.units import Positive

LEARN = 3.5
"""How often longer an image takes in a training step than in an evaluation: its backward pass costs two forward passes,
and the rest is the optimizer's, the averages' and augmentation's. Measured: 3.3 to 3.9, in float32 and bfloat16."""


@dataclass(frozen=True)
class Pace:
    """Seconds an image, with as many at work as there will be workers.

    Attributes:
        learn: Of a training step with one forward-and-backward pass, optimizer and running averages included.
        look: Of an evaluation.
    """

    learn: Positive
    look: Positive


@dataclass(frozen=True)
class Head:
    """Seconds that one process takes for a step of a head on features, with one forward-and-backward pass."""

    step: Positive


@dataclass(frozen=True)
class Drawing:
    """Seconds that one process takes to draw a shifted image, on average over the families."""

    draw: Positive
