"""Blur: detail is lost. Sizes are for a short side of 227 pixels, see :func:`~dgbench.data.shifts.entry.zoom`."""

from __future__ import annotations

import kornia.filters as kf
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, odd, zoom


def _gaussian(image: Tensor, random: Random) -> Tensor:
    sd = random.uniform(5, 7) * zoom(image)
    size = odd(6 * sd)
    return kf.gaussian_blur2d(image, (size, size), (sd, sd), "replicate")  # type: ignore[no-any-return]


def _average(image: Tensor, random: Random) -> Tensor:
    size = odd(random.uniform(9, 15) * zoom(image))
    return kf.box_blur(image, (size, size), "replicate")  # type: ignore[no-any-return]


def _median(image: Tensor, random: Random) -> Tensor:
    size = odd(random.uniform(9, 15) * zoom(image))
    return kf.median_blur(image, (size, size))  # type: ignore[no-any-return]


def _bilateral(image: Tensor, random: Random) -> Tensor:
    size = odd(random.uniform(3, 10) * zoom(image))
    sd_color, sd_space = random.uniform(10, 250) / 255, random.uniform(10, 250) * zoom(image)
    return kf.bilateral_blur(image, (size, size), sd_color, (sd_space, sd_space), "replicate")  # type: ignore[no-any-return]


def _motion(image: Tensor, random: Random) -> Tensor:
    """Along a line of 15 pixels, at any angle, the weights rising or falling along it."""
    angle, direction = random.uniform(0, 360), random.uniform(-1, 1)
    return kf.motion_blur(image, odd(15 * zoom(image)), float(angle), float(direction), "replicate")  # type: ignore[no-any-return]


ENTRIES = (
    Entry("gaussian", _gaussian),
    Entry("average", _average),
    Entry("median", _median),
    Entry("bilateral", _bilateral),
    Entry("motion", _motion),
)
