"""Edges: Canny's edges in one random colour on another."""

from __future__ import annotations

import kornia.filters as kf
import torch
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, odd, tensor, zoom


def _canny(image: Tensor, random: Random) -> Tensor:
    """Smoothed with deviation 2 pixels; .8 to 1 of the drawing, the rest of the image itself."""
    sd = 2 * zoom(image)
    low = random.uniform(0.05, 0.2)
    _, edges = kf.canny(image, low, 2 * low, (odd(6 * sd), odd(6 * sd)), (sd, sd))
    line, ground = tensor(random.random((2, 1, 3, 1, 1)))
    return torch.lerp(image, ground + edges * (line - ground), random.uniform(0.8, 1.0))


ENTRIES = (Entry("canny", _canny),)
