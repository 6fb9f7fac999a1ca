"""Hue, saturation and value, each in [0, 1], of images ``[1, 3, h, w]``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_CENTRE = torch.tensor([3.0, 2.0, 4.0]).view(1, 3, 1, 1)
_SLOPE = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1)
_AT_CENTRE = torch.tensor([-1.0, 2.0, 2.0]).view(1, 3, 1, 1)
"""How strong red, green and blue are in a hue of 0 to 6: the distance from a centre, times a slope, and clipped."""


_LEAST = 1e-9
"""Less than any value or chroma but 0, whose quotients are 0."""


def to_hsv(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, each ``[1, 1, h, w]``; gray has the hue of red, and black no saturation."""
    red, green, blue = (image[:, k : k + 1] for k in range(3))
    value, chroma = _value_and_chroma(image)
    scale = (1 / 6) / chroma.clamp(min=_LEAST)
    after_green, after_blue = (blue - red) * scale + 1 / 3, (red - green) * scale + 2 / 3
    hue = torch.where(value == red, (green - blue) * scale, torch.where(value == green, after_green, after_blue))
    return hue - hue.floor(), chroma / value.clamp(min=_LEAST), value


def from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The reverse; hue goes round, saturation and value are clipped."""
    value = value.clamp(0, 1)
    chroma = value * saturation.clamp(0, 1)
    strength = (6 * (hue - hue.floor()) - _CENTRE).abs_().mul_(_SLOPE).add_(_AT_CENTRE).clamp_(0, 1)
    return torch.addcmul(value - chroma, chroma, strength)


def change_saturation(image: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The image with another saturation, without the way over its hue."""
    value, chroma = _value_and_chroma(image)
    chroma_then = value * change(chroma / value.clamp(min=_LEAST)).clamp_(0, 1)
    below = (value - image).mul_(chroma_then / chroma.clamp(min=_LEAST))
    below[:, 1:] += (chroma == 0).float().mul_(chroma_then)  # what was gray is red then
    return value - below


def change_value(image: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The image with another value, without the way over its hue and saturation."""
    value = _value_and_chroma(image)[0]
    value_then = change(value).clamp_(0, 1)
    return (image * (value_then / value.clamp(min=_LEAST))).add_((value == 0).float().mul_(value_then))


def _value_and_chroma(image: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of the channels, and by how much it is larger than the smallest."""
    red, green, blue = (image[:, k : k + 1] for k in range(3))
    value = torch.maximum(torch.maximum(red, green), blue)
    return value, value - torch.minimum(torch.minimum(red, green), blue)
