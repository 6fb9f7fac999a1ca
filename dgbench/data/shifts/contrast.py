"""Contrast: curves that map brightness to brightness, and histograms made flat."""

from __future__ import annotations

import torch
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, each_channel, parts, tensor
from dgbench.data.shifts.equalize import equalize
from dgbench.data.shifts.hsv import from_hsv, to_hsv

_FLATTER, _STEEPER = (0.1, 0.3), (1.8, 2.0)


def _gamma(image: Tensor, random: Random) -> Tensor:
    return (image.log() * each_channel(random, _FLATTER, _STEEPER)).exp_()


def _sigmoid(image: Tensor, random: Random) -> Tensor:
    gain, cutoff = tensor(random.uniform(10, 25, (1, 3, 1, 1))), tensor(random.uniform(0.4, 0.6, (1, 3, 1, 1)))
    return torch.sigmoid(gain * (image - cutoff))


def _log(image: Tensor, random: Random) -> Tensor:
    return each_channel(random, _FLATTER, _STEEPER) * torch.log2(1 + image)


def _linear(image: Tensor, random: Random) -> Tensor:
    return 0.5 + each_channel(random, _FLATTER, _STEEPER) * (image - 0.5)


def _clahe_of_channels(image: Tensor, random: Random) -> Tensor:
    """Each channel is equalised, in 3x3 to 12x12 parts."""
    return _clahe(image, random.uniform(3, 12), random)


def _clahe_of_brightness(image: Tensor, random: Random) -> Tensor:
    """The value of HSV is equalised, in 10x10 to 21x21 parts; the paper equalises the lightness of Lab."""
    hue, saturation, value = to_hsv(image)
    return from_hsv(hue, saturation, _clahe(value, random.uniform(10, 21), random))


def _clahe(planes: Tensor, tiles: float, random: Random) -> Tensor:
    """Equalise parts of planes ``[1, c, h, w]``; a histogram is clipped at 1 to 10 times its mean."""
    limits = [random.uniform(1, 10) for _ in range(planes.shape[1])]
    return equalize(planes, parts(planes, tiles), limits)


ENTRIES = (
    Entry("gamma", _gamma),
    Entry("sigmoid", _sigmoid),
    Entry("log", _log),
    Entry("linear", _linear),
    Entry("clahe of channels", _clahe_of_channels),
    Entry("clahe of brightness", _clahe_of_brightness),
)
