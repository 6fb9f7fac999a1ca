"""From a picture, wherever it is, to the square that a network sees: the way of the board's data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.errors import DataError
from dgbench.data.pixels.decode import as_rgb, opened
from dgbench.data.pixels.square import square
from dgbench.data.pixels.suffixes import is_image_array
from dgbench.exported.card import Preprocessing

Given = str | Path | Image.Image | NDArray[np.generic]
"""The path of a file, a picture of Pillow, or an array: uint8 ``[h, w]``, ``[h, w, 3]`` or ``[h, w, 4]``, or uint16
``[h, w]``."""


def square_of(given: Given, wanted: Preprocessing) -> NDArray[np.uint8]:
    """A picture as uint8 ``[size, size, 3]``; what was given stays as it is.

    Raises:
        DataError: it cannot be decoded, or is of no such kind; the message names it.
    """
    try:
        with rgb_of(given, wanted) as picture:
            return np.array(square(picture, wanted.size, wanted.resize))
    except ValueError as error:  # of a picture that is in memory: files are named
        raise DataError(f"a picture cannot be decoded ({error})") from error


@contextmanager
def rgb_of(given: Given, wanted: Preprocessing) -> Iterator[Image.Image]:
    """A picture in RGB, turned upright where its file asks for it, of the size that it has."""
    with _opened(given) as picture:
        yield as_rgb(picture, wanted.decoding)


@contextmanager
def _opened(given: Given) -> Iterator[Image.Image]:
    if isinstance(given, str | Path):
        with opened(Path(given), str(given)) as image:
            yield image
    elif isinstance(given, Image.Image):
        given.load()
        copy = given.copy()  # what is decoded is used up
        copy.format = given.format
        yield copy
    else:
        array = np.asarray(given)
        if not is_image_array(array.shape, array.dtype):
            raise DataError(
                f"an array of {array.dtype} {list(array.shape)} is no image: those are uint8 [h, w], [h, w, 3] or "
                "[h, w, 4], or uint16 [h, w]"
            )
        yield Image.fromarray(np.ascontiguousarray(array))
