"""Hue, saturation and value, each in [0, 1]."""

from __future__ import annotations

import math

import kornia.color as kc
import torch
from torch import Tensor


def to_hsv(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value of an image ``[1, 3, h, w]``, each ``[1, 1, h, w]``."""
    hue, saturation, value = kc.rgb_to_hsv(image).split(1, dim=1)
    return hue / math.tau, saturation, value


def from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The reverse; hue goes round, saturation and value are clipped."""
    hsv = torch.cat((hue % 1 * math.tau, saturation.clamp(0, 1), value.clamp(0, 1)), 1)
    return kc.hsv_to_rgb(hsv)  # type: ignore[no-any-return]
