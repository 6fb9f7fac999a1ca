"""Blur: detail is lost. Sizes are for a short side of 227 pixels, see :func:`~dgbench.data.shifts.entry.zoom`."""

from __future__ import annotations

from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, odd, zoom
from dgbench.data.shifts.filters import bilateral, box, correlate, gaussian, line, median


def _gaussian(image: Tensor, random: Random) -> Tensor:
    sd = random.uniform(5, 7) * zoom(image)
    return gaussian(image, odd(6 * sd), sd)


def _average(image: Tensor, random: Random) -> Tensor:
    return box(image, odd(random.uniform(9, 15) * zoom(image)))


def _median(image: Tensor, random: Random) -> Tensor:
    return median(image, odd(random.uniform(9, 15) * zoom(image)))


def _bilateral(image: Tensor, random: Random) -> Tensor:
    size = odd(random.uniform(3, 10) * zoom(image))
    sd_color, sd_space = random.uniform(10, 250) / 255, random.uniform(10, 250) * zoom(image)
    return bilateral(image, size, sd_color, sd_space)


def _motion(image: Tensor, random: Random) -> Tensor:
    """Along a line of 15 pixels, at any angle, the weights rising or falling along it."""
    angle, direction = random.uniform(0, 360), random.uniform(-1, 1)
    return correlate(image, line(odd(15 * zoom(image)), angle, direction))


ENTRIES = (
    Entry("gaussian", _gaussian),
    Entry("average", _average),
    Entry("median", _median),
    Entry("bilateral", _bilateral),
    Entry("motion", _motion),
)
