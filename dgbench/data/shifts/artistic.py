"""Artistic: the picture as a cartoon."""

from __future__ import annotations

from torch import Tensor

from dgbench.data.pixels.edge_map import sobel
from dgbench.data.shifts.entry import Entry, Random, odd, zoom
from dgbench.data.shifts.filters import bilateral, grayscale
from dgbench.data.shifts.hsv import change_saturation


def _cartoon(image: Tensor, random: Random) -> Tensor:
    """Flat colours, twice as saturated, between dark outlines.

    The paper segments with mean shift; here a bilateral filter of 9 pixels and 4 to 8 levels a channel flatten.
    """
    size = odd(9 * zoom(image))
    steps = int(random.integers(4, 9)) - 1
    flat = (bilateral(image, size, 0.2, size / 2) * steps).round_().div_(steps)
    vivid = change_saturation(flat, lambda saturation: 2 * saturation)
    across, down = sobel(grayscale(image))
    outlines = across.square_().addcmul_(down, down).sqrt_().mul_(random.uniform(2, 4) / 8).clamp_(max=1)
    return vivid.mul_(1 - outlines)


ENTRIES = (Entry("cartoon", _cartoon),)
