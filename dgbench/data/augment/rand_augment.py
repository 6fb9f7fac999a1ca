"""Some operations of a list for each image, all at one magnitude.

E. D. Cubuk, B. Zoph, J. Shlens, Q. V. Le: RandAugment. CVPR Workshops 2020. Operations and their ranges are those of
torchvision's ``RandAugment``. Deviations: sharpness and histogram equalisation are left out, so that augmented
validation keeps the families ``blur`` and ``convolutional``; images are float, so nothing is rounded to 8 bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.data.augment.color import add_contrast, brighten, saturate
from dgbench.data.augment.rows import Operation, in_turn


class Entry(NamedTuple):
    """One operation.

    Attributes:
        name: As torchvision calls it.
        families: The shift families that it touches.
        apply: Amounts are magnitudes in [0, 1], positive or negative with equal chances.
    """

    name: str
    families: frozenset[str]
    apply: Operation


def rand_augment(x: Tensor, generator: torch.Generator, operations: int = 2, magnitude: float = 0.3) -> Tensor:
    """Apply random operations to each image, one after another.

    Args:
        x: ``[n, 3, h, w]``, uint8, or float in [0, 1].
        generator: On the CPU.
        operations: How many each image gets; one can come twice.
        magnitude: Share of the largest change, in [0, 1]; torchvision's default is 9 of 30.

    Returns:
        float32 ``[n, 3, h, w]`` in [0, 1], new.
    """
    shape = (len(x), operations)
    chosen = torch.randint(len(ENTRIES), shape, generator=generator)
    signs = 2 * torch.randint(2, shape, generator=generator) - 1
    return in_turn(x, [entry.apply for entry in ENTRIES], chosen, signs * magnitude)


def _identity(x: Tensor, amount: Tensor) -> None:
    """Leave the images alone."""


def _shear_x(x: Tensor, amount: Tensor) -> None:
    """By up to .3 pixels for each one down from the top."""
    slope = 0.3 * amount * x.shape[-2] / x.shape[-1]
    _affine(x, (1, slope, slope), (0, 1, 0))


def _shear_y(x: Tensor, amount: Tensor) -> None:
    """By up to .3 pixels for each one away from the left."""
    slope = 0.3 * amount * x.shape[-1] / x.shape[-2]
    _affine(x, (1, 0, 0), (slope, 1, slope))


def _translate_x(x: Tensor, amount: Tensor) -> None:
    """By whole pixels, up to 150 of 331."""
    _affine(x, (1, 0, _pixels(amount, x.shape[-1])), (0, 1, 0))


def _translate_y(x: Tensor, amount: Tensor) -> None:
    """By whole pixels, up to 150 of 331."""
    _affine(x, (1, 0, 0), (0, 1, _pixels(amount, x.shape[-2])))


def _rotate(x: Tensor, amount: Tensor) -> None:
    """By up to 30 degrees around the middle."""
    h, w = x.shape[-2:]
    angle = amount * math.radians(30)
    _affine(x, (angle.cos(), -angle.sin() * h / w, 0), (angle.sin() * w / h, angle.cos(), 0))


def _pixels(amount: Tensor, side: int) -> Tensor:
    return -2 * (150 / 331 * side * amount).trunc() / side


def _affine(x: Tensor, *rows: tuple[Tensor | float, Tensor | float, Tensor | float]) -> None:
    """Take each pixel of images ``[m, 3, h, w]`` from the nearest place that a matrix names; outside, all is black.

    Args:
        x: The images.
        rows: Of the matrix, which maps x, y and 1 to x and y, in coordinates from -1 to 1; numbers or ``[m, 1, 1, 1]``.
    """
    known = (cell if isinstance(cell, Tensor) else x.new_full((), cell) for row in rows for cell in row)  # no copy
    cells = [cell.expand(len(x), 1, 1, 1) for cell in known]
    grid = F.affine_grid(torch.cat(cells, 1).view(-1, 2, 3), list(x.shape), align_corners=False)
    x.copy_(F.grid_sample(x, grid, mode="nearest", align_corners=False))


def _brightness(x: Tensor, amount: Tensor) -> None:
    brighten(x, 1 + 0.9 * amount)


def _color(x: Tensor, amount: Tensor) -> None:
    saturate(x, 1 + 0.9 * amount)


def _contrast(x: Tensor, amount: Tensor) -> None:
    add_contrast(x, 1 + 0.9 * amount)


def _posterize(x: Tensor, amount: Tensor) -> None:
    """Keep 8 to 4 bits of each channel."""
    levels = torch.exp2(8 - (4 * amount.abs()).round())
    x.copy_((x * levels).floor().minimum(levels - 1) / levels)


def _solarize(x: Tensor, amount: Tensor) -> None:
    """Invert what is at least as bright as a threshold, which is 1 minus the magnitude."""
    bright = (x >= 1 - amount.abs()).to(x.dtype)
    x.add_(bright * (1 - 2 * x))


def _autocontrast(x: Tensor, amount: Tensor) -> None:
    """Stretch each channel to the whole range; one that is constant stays."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    flat = high == low
    low = low.masked_fill(flat, 0)
    x.sub_(low).div_((high - low).masked_fill(flat, 1)).clamp_(0, 1)


def _entry(name: str, families: str, apply: Operation) -> Entry:
    return Entry(name, frozenset(families.split()), apply)


ENTRIES = (
    _entry("Identity", "", _identity),
    _entry("ShearX", "geometric", _shear_x),
    _entry("ShearY", "geometric", _shear_y),
    _entry("TranslateX", "geometric", _translate_x),
    _entry("TranslateY", "geometric", _translate_y),
    _entry("Rotate", "geometric", _rotate),
    _entry("Brightness", "arithmetic color", _brightness),
    _entry("Color", "color", _color),
    _entry("Contrast", "contrast", _contrast),
    _entry("Posterize", "color", _posterize),
    _entry("Solarize", "arithmetic", _solarize),
    _entry("AutoContrast", "contrast", _autocontrast),
)
