"""From SVG to pixels."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.errors import DataError

SIDE = 64
_ZOOM = 2
"""Pictures are drawn this many times as large, and averaged: the edges of clipped shapes come out ragged otherwise."""

Renderer = Callable[[str], NDArray[np.uint8]]
"""Draws an SVG file on white: RGB ``[64, 64, 3]``. What is not square is centred."""


def renderer() -> Renderer:
    """What draws; a call of its own, so that a missing package is found before anything is fetched.

    Raises:
        DataError: the package resvg-py is not installed.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise DataError("drawing SVG files needs the package resvg-py: pip install 'dgbench[emoji]'") from error

    def render(svg: str) -> NDArray[np.uint8]:
        large = SIDE * _ZOOM
        # Fonts of the system would make the bytes depend on the machine; no pack holds text.
        png = resvg_py.svg_to_bytes(svg, width=large, height=large, background="white", skip_system_fonts=True)
        with Image.open(io.BytesIO(png)) as picture:
            return np.asarray(picture.convert("RGB").reduce(_ZOOM))

    return render
