"""Color: hue, saturation and value of whole images, and fewer colours. Offsets are in units of the 8-bit scale.

"Brightness" is the value of HSV; the paper draws one of six colour spaces. "Brightness channel" and "add to brightness"
are one shift then, and both are kept so that each shift is drawn as often as in the paper.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, either
from dgbench.data.shifts.filters import grayscale
from dgbench.data.shifts.hsv import change_saturation, change_value, from_hsv, to_hsv

_ADD = ((-200.0, -50.0), (50.0, 200.0))
_MULTIPLY = ((0.1, 0.3), (1.8, 2.0))
_BLACKBODY = {8000: (0.890, 0.914, 1.0), 10000: (0.800, 0.859, 1.0)}
"""Colour of a black body by temperature in kelvin, in sRGB; between them, linear."""


def _turn_hue(image: Tensor, random: Random, scale: float) -> Tensor:
    """Add 50 to 179 to a hue whose full turn is ``scale``."""
    hue, saturation, value = to_hsv(image)
    return from_hsv(hue + random.uniform(50, 179) / scale, saturation, value)


def _add_to_brightness(image: Tensor, random: Random) -> Tensor:
    return change_value(image, lambda value: value + either(random, *_ADD) / 255)


def _multiply_brightness(image: Tensor, random: Random) -> Tensor:
    return change_value(image, lambda value: value * either(random, *_MULTIPLY))


def _multiply_and_add_to_brightness(image: Tensor, random: Random) -> Tensor:
    return change_value(image, lambda value: value * either(random, *_MULTIPLY) + either(random, *_ADD) / 255)


def _multiply_hue_and_saturation(image: Tensor, random: Random) -> Tensor:
    hue, saturation, value = to_hsv(image)
    return from_hsv(hue * either(random, *_MULTIPLY), saturation * either(random, *_MULTIPLY), value)


def _multiply_hue(image: Tensor, random: Random) -> Tensor:
    hue, saturation, value = to_hsv(image)
    return from_hsv(hue * either(random, *_MULTIPLY), saturation, value)


def _multiply_saturation(image: Tensor, random: Random) -> Tensor:
    return change_saturation(image, lambda saturation: saturation * either(random, *_MULTIPLY))


def _remove_saturation(image: Tensor, random: Random) -> Tensor:
    return change_saturation(image, lambda saturation: 0 * saturation)


def _add_to_hue_and_saturation(image: Tensor, random: Random) -> Tensor:
    hue, saturation, value = to_hsv(image)
    return from_hsv(hue + either(random, *_ADD) / 255, saturation + either(random, *_ADD) / 255, value)


def _add_to_hue(image: Tensor, random: Random) -> Tensor:
    hue, saturation, value = to_hsv(image)
    return from_hsv(hue + either(random, *_ADD) / 255, saturation, value)


def _add_to_saturation(image: Tensor, random: Random) -> Tensor:
    return change_saturation(image, lambda saturation: saturation + either(random, *_ADD) / 255)


def _grayscale(image: Tensor, random: Random) -> Tensor:
    return torch.lerp(image, grayscale(image).expand_as(image), random.uniform(0.8, 1.0))


def _temperature(image: Tensor, random: Random) -> Tensor:
    warm, cold = (torch.tensor(rgb).view(1, 3, 1, 1) for rgb in _BLACKBODY.values())
    return image * torch.lerp(warm, cold, random.uniform(0, 1))


def _quantize(image: Tensor, levels: int) -> Tensor:
    """Each channel in ``levels`` bins of one width; a bin's colour is its middle."""
    return ((image * levels).floor().clamp(max=levels - 1) + 0.5) / levels


ENTRIES = (
    Entry("turn hue", partial(_turn_hue, scale=180)),
    Entry("brightness channel", _add_to_brightness),
    Entry("multiply and add to brightness", _multiply_and_add_to_brightness),
    Entry("multiply brightness", _multiply_brightness),
    Entry("add to brightness", _add_to_brightness),
    Entry("turn hue by less", partial(_turn_hue, scale=255)),
    Entry("multiply hue and saturation", _multiply_hue_and_saturation),
    Entry("multiply hue", _multiply_hue),
    Entry("multiply saturation", _multiply_saturation),
    Entry("remove saturation", _remove_saturation),
    Entry("add to hue and saturation", _add_to_hue_and_saturation),
    Entry("add to hue", _add_to_hue),
    Entry("add to saturation", _add_to_saturation),
    Entry("grayscale", _grayscale),
    Entry("colour temperature", _temperature),
    Entry("quantize to 4 levels", lambda image, random: _quantize(image, 4)),
    Entry("quantize to 2 to 4 bits", lambda image, random: _quantize(image, 2 ** int(random.integers(2, 5)))),
)
