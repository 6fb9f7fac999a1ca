"""What a shift is, and how its parameters are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Random = np.random.Generator
Range = tuple[float, float]


class Entry(NamedTuple):
    """One shift of a family: ``apply`` maps an image ``[1, 3, h, w]`` in [0, 1] to another of the same shape.

    What leaves [0, 1] is clipped afterwards; ``apply`` draws its parameters from the generator it is given.
    """

    name: str
    apply: Callable[[Tensor, Random], Tensor]


def zoom(image: Tensor) -> float:
    """What sizes in pixels are multiplied by: they are meant for images whose short side has 227 pixels.

    Images below 45 pixels are treated as if they had 45: a stroke that is two pixels wide would not feel less.
    """
    return max(min(image.shape[-2:]) / 227, 0.2)


def parts(image: Tensor, number: float) -> int:
    """In how many parts a side is divided, at least 2, for a ``number`` meant for 227 pixels; see :func:`zoom`."""
    return max(2, round(number * min(image.shape[-2:]) / (227 * zoom(image))))


def odd(size: float) -> int:
    """The nearest odd number of pixels, at least 3."""
    return max(3, 2 * round((size - 1) / 2) + 1)


def either(random: Random, low: Range, high: Range) -> float:
    """Uniform in one of two ranges, each with chance 1/2."""
    return float(random.uniform(*(low if random.random() < 0.5 else high)))


def each_channel(random: Random, low: Range, high: Range) -> Tensor:
    """One draw of :func:`either` for each channel, ``[1, 3, 1, 1]``."""
    return torch.tensor([either(random, low, high) for _ in range(3)]).view(1, 3, 1, 1)


def channels(random: Random) -> int:
    """How many channels noise is drawn for: one that all share, or each its own, with chance 1/2."""
    return 3 if random.random() < 0.5 else 1


def planes(pixels: NDArray[np.uint8]) -> Tensor:
    """Pixels ``[h, w, 3]`` as an image ``[1, 3, h, w]`` in [0, 1], whose channels lie one after the other."""
    image = np.empty((1, 3, *pixels.shape[:2]), np.float32)
    for channel in range(3):
        np.divide(pixels[..., channel], np.float32(255), out=image[0, channel])
    return torch.from_numpy(image)


def tensor(array: NDArray[Any]) -> Tensor:
    """What NumPy drew, as the images are: float32."""
    return torch.from_numpy(array.astype(np.float32))


def uniform(random: Random, low: float, high: float, shape: tuple[int, ...]) -> Tensor:
    """Independent uniform draws, float32."""
    return torch.from_numpy(random.random(shape, np.float32)).mul_(high - low).add_(low)
