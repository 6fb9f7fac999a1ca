"""How a picture of any size becomes the square that a network sees."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from dgbench.core.decoding import Decoding
from dgbench.data.listing import Picture, Pictures
from dgbench.data.pixels.decode import as_rgb

Resize = Literal["stretch", "crop"]


def form(size: int, resize: Resize, decoding: Decoding) -> str:
    """How pictures become images, as part of the names of files: ``224-stretch``, ``96-crop-white-12bit``."""
    return "-".join((str(size), resize, *decoding.words()))


def squared(pictures: Pictures, row: int, size: int, resize: Resize, decoding: Decoding) -> Picture:
    """A picture where it lies, as :func:`square`; it is decoded when there is room for it.

    Raises:
        DataError: it cannot be decoded; the message names it.
    """
    with pictures.open(row) as image:
        return square(as_rgb(image, decoding), size, resize)


def square(picture: Image.Image, size: int, resize: Resize) -> Picture:
    """A picture as uint8 ``[size, size, 3]``; one that has this size already is left alone, bit for bit.

    Resizing is bicubic, and smooths where it shrinks.

    Args:
        picture: In mode ``RGB``.
        size: Side in pixels.
        resize: ``stretch`` gives up the ratio of the sides; ``crop`` scales the short side to 8/7 of ``size`` (256 for
            224, as networks for ImageNet are evaluated) and keeps the centre.
    """
    if picture.size == (size, size):
        return np.asarray(picture)
    return np.asarray(_stretch(picture, (size, size)) if resize == "stretch" else _centre(picture, size))


def _centre(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    short, side = min(width, height), round(size * 8 / 7)
    width, height = side * width // short, side * height // short
    # Halves are rounded to even, as torchvision's CenterCrop does.
    left, top = round((width - size) / 2), round((height - size) / 2)
    return _stretch(image, (width, height)).crop((left, top, left + size, top + size))


def _stretch(image: Image.Image, to: tuple[int, int]) -> Image.Image:
    return image.resize(to, Image.Resampling.BICUBIC)
