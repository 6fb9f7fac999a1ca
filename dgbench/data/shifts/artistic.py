"""Artistic: the picture as a cartoon."""

from __future__ import annotations

import kornia.color as kc
import kornia.filters as kf
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, odd, zoom
from dgbench.data.shifts.hsv import from_hsv, to_hsv


def _cartoon(image: Tensor, random: Random) -> Tensor:
    """Flat colours, twice as saturated, between dark outlines.

    The paper segments with mean shift; here a bilateral filter of 9 pixels and 4 to 8 levels a channel flatten.
    """
    size = odd(9 * zoom(image))
    flat = kf.bilateral_blur(image, (size, size), 0.2, (size / 2, size / 2))
    levels = int(random.integers(4, 9))
    flat = (flat * (levels - 1)).round() / (levels - 1)
    hue, saturation, value = to_hsv(flat)
    vivid = from_hsv(hue, 2 * saturation, value)
    outlines = kf.sobel(kc.rgb_to_grayscale(image))
    return vivid * (1 - (outlines * random.uniform(2, 4)).clamp(max=1))  # type: ignore[no-any-return]


ENTRIES = (Entry("cartoon", _cartoon),)
