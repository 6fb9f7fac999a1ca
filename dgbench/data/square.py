"""How a picture of any size becomes the square that a network sees."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from dgbench.data.listing import Picture

Resize = Literal["stretch", "crop"]


def square(picture: Picture, size: int, resize: Resize) -> Picture:
    """A picture as uint8 ``[size, size, 3]``; one that has this size already is left alone, bit for bit.

    Resizing is bicubic, and smooths where it shrinks.

    Args:
        picture: RGB, ``[height, width, 3]``.
        size: Side in pixels.
        resize: ``stretch`` gives up the ratio of the sides; ``crop`` scales the short side to 8/7 of ``size`` (256 for
            224, as networks for ImageNet are evaluated) and keeps the centre.
    """
    if picture.shape == (size, size, 3):
        return picture
    image = Image.fromarray(picture)
    made = _stretch(image, (size, size)) if resize == "stretch" else _centre(image, size)
    return np.asarray(made)


def _centre(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    short, side = min(width, height), round(size * 8 / 7)
    width, height = side * width // short, side * height // short
    # Halves are rounded to even, as torchvision's CenterCrop does.
    left, top = round((width - size) / 2), round((height - size) / 2)
    return _stretch(image, (width, height)).crop((left, top, left + size, top + size))


def _stretch(image: Image.Image, to: tuple[int, int]) -> Image.Image:
    return image.resize(to, Image.Resampling.BICUBIC)
