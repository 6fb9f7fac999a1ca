"""What all drawn domains share: a 16-pixel picture, drawn eight times as large, averaged, and given two colours.

Every domain draws its colours from one distribution, light ink on dark paper, so neither colour nor contrast tells
domains apart: what differs is the shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 16
ZOOM = 8

Ink = NDArray[np.float64]
"""How much ink lies on each pixel, in [0, 1]."""


def grid(random: np.random.Generator, scale: float, angle: float, shear: float, jitter: float) -> tuple[Ink, Ink]:
    """Where the pixels of the large picture lie in the drawing's own coordinates.

    Args:
        random: Draws the shift.
        scale: Pixels of the small picture for one unit of the drawing.
        angle: Rotation of the drawing, in degrees, clockwise.
        shear: Slant: how far right a point moves for each unit that it lies higher.
        jitter: Largest shift to each side, in pixels of the small picture.

    Returns:
        Coordinates ``u`` (right) and ``v`` (down) from the drawing's centre, each ``[128, 128]``.
    """
    centres = (np.arange(SIDE * ZOOM) + 0.5) / ZOOM - SIDE / 2
    shift_x, shift_y = random.uniform(-jitter, jitter, 2)
    y, x = (centres[:, None] - shift_y) / scale, (centres - shift_x) / scale
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    u, v = cos * x + sin * y, cos * y - sin * x
    return u + shear * v, v


def shrink(large: Ink) -> Ink:
    """The mean of each 8x8 block: ``[..., 128, 128]`` to ``[..., 16, 16]``."""
    blocks = large.reshape(*large.shape[:-2], SIDE, ZOOM, SIDE, ZOOM)
    return np.asarray(blocks.mean(axis=(-3, -1)))


def tinted(ink: Ink, hues: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.uint8]:
    """Pictures ``[n, 16, 16]`` of ink as RGB ``[n, 16, 16, 3]``, light ink of given hues on dark paper.

    Args:
        ink: The drawings.
        hues: Where on the circle of colours each lies, ``[n]``: 0 is red, 1/3 green, 2/3 blue, 1 red again.
        random: Draws the paper, each channel in [0, .25], and of the ink the brightness in [.75, 1] and the saturation
            in [.5, .9].
    """
    paper = random.uniform(0.0, 0.25, (len(ink), 1, 1, 3))
    bright, pure = random.uniform(0.75, 1.0, (len(ink), 1)), random.uniform(0.5, 0.9, (len(ink), 1))
    place = (np.array([5, 3, 1]) + 6 * hues[:, None]) % 6
    pen = bright * (1 - pure * np.clip(np.minimum(place, 4 - place), 0, 1))
    return np.asarray(np.rint(255 * (paper + ink[..., None] * (pen[:, None, None] - paper))).astype(np.uint8))


def paint(ink: Ink, random: np.random.Generator) -> NDArray[np.uint8]:
    """Pictures ``[n, 16, 16]`` of ink as RGB ``[n, 16, 16, 3]``.

    Each channel of the paper lies in [0, .35], each of the ink in [.65, 1].
    """
    paper = random.uniform(0.0, 0.35, (len(ink), 1, 1, 3))
    pen = random.uniform(0.65, 1.0, (len(ink), 1, 1, 3))
    return np.rint(255 * (paper + ink[..., None] * (pen - paper))).astype(np.uint8)
