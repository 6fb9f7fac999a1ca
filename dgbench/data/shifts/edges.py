"""Edges: Canny's edges in one random colour on another."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgbench.data.pixels.edge_map import linked, sobel
from dgbench.data.shifts.entry import Entry, Random, odd, tensor, zoom
from dgbench.data.shifts.filters import gaussian, grayscale

Plane = NDArray[np.float32]

_EIGHTH = np.float32(np.tan(np.pi / 8))
"""The slope below which a direction is nearer to an axis than to a diagonal."""


def _canny(image: Tensor, random: Random) -> Tensor:
    """Smoothed with deviation 2 pixels; .8 to 1 of the drawing, the rest of the image itself."""
    sd = 2 * zoom(image)
    low = random.uniform(0.05, 0.2)
    edges = canny(gaussian(grayscale(image), odd(6 * sd), sd), low, 2 * low)
    line, ground = tensor(random.random((2, 1, 3, 1, 1)))
    return torch.lerp(image, torch.addcmul(ground, line - ground, edges.float()), random.uniform(0.8, 1.0))


def canny(plane: Tensor, low: float, high: float) -> Tensor:
    """Where the edges of a plane ``[1, 1, h, w]`` are, as bool of the same shape.

    J. Canny: A Computational Approach to Edge Detection, PAMI 1986. An edge is a ridge of the gradient that is stronger
    than ``low`` all along, and somewhere than ``high``; of two equal pixels across it the left or upper one counts.

    Args:
        plane: In [0, 1], smooth.
        low, high: In units of Sobel's gradient, which is 8 times the slope.
    """
    across, down = (slope[0, 0].numpy() for slope in sobel(plane))
    strength = across**2 + down**2
    candidates = _ridges(strength, across, down) & (strength > low**2)
    weak, strong = (torch.from_numpy(each)[None] for each in (candidates, strength > high**2))
    return linked(weak, strong)[None]


def _ridges(strength: Plane, across: Plane, down: Plane) -> NDArray[np.bool_]:
    """Where the gradient is stronger than on both sides, along the direction (of eight) in which it points."""
    h, w = strength.shape
    padded = np.zeros((h + 2, w + 2), np.float32)
    padded[1:-1, 1:-1] = strength

    def beside(y: int, x: int) -> Plane:
        return padded[1 + y : 1 + y + h, 1 + x : 1 + x + w]

    # Bits, not choices: a processor cannot foresee which way edges go.
    flat, steep = abs(across), abs(down)
    horizontal, vertical, falling = steep <= _EIGHTH * flat, flat <= _EIGHTH * steep, across * down > 0
    diagonal = ~(horizontal | vertical)
    ridges: NDArray[np.bool_] = horizontal & (strength > beside(0, -1)) & (strength >= beside(0, 1))
    ridges |= vertical & (strength > beside(-1, 0)) & (strength >= beside(1, 0))
    ridges |= diagonal & falling & (strength > beside(-1, -1)) & (strength > beside(1, 1))
    ridges |= diagonal & ~falling & (strength > beside(-1, 1)) & (strength > beside(1, -1))
    return ridges


ENTRIES = (Entry("canny", _canny),)
