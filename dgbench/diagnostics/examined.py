"""What is found when a trained model is examined; how it is computed, :mod:`dgbench.runs.examining` says.

Between the weights before the first step, theta_0, and the chosen ones, theta_1, lie theta(a) = (1 - a) theta_0 +
a theta_1, so a = 1 is the model. Splits are ``validation`` (held-out images of a source domain) and ``target``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from dgbench.core.files import finite


@dataclass(frozen=True)
class Point:
    """A place on the way from the initial weights to the chosen ones, and what it says of some images.

    Attributes:
        split, domain: Whose images.
        alpha: a.
        n: How many images.
        accuracy: In [0, 1].
        nll: Cross-entropy, in nats.
        ece: Calibration error over fifteen bins, in [0, 1].
    """

    split: str
    domain: str
    alpha: float
    n: int
    accuracy: float
    nll: float
    ece: float


@dataclass(frozen=True)
class Mixed:
    """Where weights halfway say otherwise than both ends: images of a domain.

    Wortsman et al., WiSE-FT, CVPR 2022, ask why interpolation helps.

    Attributes:
        split, domain, n: Whose images, and how many.
        only_before, only_after: Right at a = 0 alone of the two ends, and at a = 1 alone.
        rescued: Both ends are wrong, and halfway is right.
        spoilt: Both ends are right, and halfway is wrong.
    """

    split: str
    domain: str
    n: int
    only_before: int
    only_after: int
    rescued: int
    spoilt: int


@dataclass(frozen=True)
class Bin:
    """Images of which the model is about as sure: mean confidence, and the share that is right, in [0, 1]."""

    split: str
    domain: str
    n: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Sharp:
    """By how much the loss rises near the weights, in nats; no finite number where the loss is none there.

    Attributes:
        adaptive: Whether each weight moves in proportion to its size.
        average, worst: Over draws, and the most that was found.
    """

    adaptive: bool
    average: float
    worst: float


@dataclass(frozen=True)
class Layer:
    """A layer of the network.

    Attributes:
        name: As its weights are named.
        straggler: How far the loss rises above a straight line where this layer alone goes from its initial weights to
            the chosen ones, the others being chosen ones; in nats, at least 0.
        average, worst: Adaptive sharpness where this layer alone is moved.
    """

    name: str
    straggler: float
    average: float
    worst: float


@dataclass(frozen=True)
class Examined:
    """What is found of a model.

    Attributes:
        board, algorithm, target, trial, draw, step: Which model.
        classified: Whether its weights before the first step classified, rather than begin with a random head.
        radius: Of the ball in which sharpness is measured.
        images: Of each source domain, that sharpness and stragglers are measured on, at most.
        curve: For each set of images, the way from a = 0 to 1.
        mixed: For each set of images, what halfway changes.
        bins: For each set of images, how sure the model is and how often right.
        sharpness: Of all weights that training moved.
        layers: From the input to the output.
    """

    board: str
    algorithm: str
    target: str
    trial: int
    draw: int
    step: int
    classified: bool
    radius: float
    images: int
    curve: tuple[Point, ...]
    mixed: tuple[Mixed, ...]
    bins: tuple[Bin, ...]
    sharpness: tuple[Sharp, ...]
    layers: tuple[Layer, ...]

    def as_data(self) -> dict[str, Any]:
        """For programs: the fields by their names; what is no finite number is None."""
        data: dict[str, Any] = finite(dataclasses.asdict(self))
        return data
