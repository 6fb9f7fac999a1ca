"""Convolutional: 3x3 kernels that draw edges and reliefs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random
from dgbench.data.shifts.filters import correlate

_OUTLINE = ((0, -1, 0), (-1, 4, -1), (0, -1, 0))


def _laplacian(image: Tensor, random: Random) -> Tensor:
    return _filter(image, _OUTLINE)


def _sharpen(image: Tensor, random: Random) -> Tensor:
    lightness = random.uniform(0.75, 2)
    return _blend(image, random, ((-1, -1, -1), (-1, 8 + lightness, -1), (-1, -1, -1)))


def _emboss(image: Tensor, random: Random) -> Tensor:
    s = random.uniform(0.5, 1.5)
    return _blend(image, random, ((-1 - s, -s, 0), (-s, 1, s), (0, s, 1 + s)))


def _edges(image: Tensor, random: Random) -> Tensor:
    return _blend(image, random, ((0, 1, 0), (1, -4, 1), (0, 1, 0)))


def _directed_edges(image: Tensor, random: Random) -> Tensor:
    """The centre against its neighbours, which weigh the more the closer they lie to a random direction."""
    direction = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1:2, -1:2]
    angle = abs((np.arctan2(y, x) - direction + np.pi) % (2 * np.pi) - np.pi)
    weight = (1 - angle / np.pi) ** 4 * ((x != 0) | (y != 0))
    kernel = -weight / weight.sum()
    kernel[1, 1] = 1
    return _blend(image, random, kernel.tolist())


def _filter(image: Tensor, kernel: Sequence[Sequence[float]]) -> Tensor:
    """Correlate each channel with a 3x3 kernel; the edge repeats."""
    return correlate(image, ((y - 1, x - 1, weight) for y, row in enumerate(kernel) for x, weight in enumerate(row)))


def _blend(image: Tensor, random: Random, kernel: Sequence[Sequence[float]]) -> Tensor:
    """.8 to 1 of the filtered image, the rest of the image itself."""
    return torch.lerp(image, _filter(image, kernel), random.uniform(0.8, 1.0))


ENTRIES = (
    Entry("laplacian", _laplacian),
    Entry("sharpen", _sharpen),
    Entry("emboss", _emboss),
    Entry("edges", _edges),
    Entry("directed edges", _directed_edges),
)
