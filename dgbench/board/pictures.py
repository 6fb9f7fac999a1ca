"""A small picture of each domain of a dataset, for pages."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.data.catalogue import thumbnails
from dgbench.data.domain import Domain

_SIDE = 48
"""Of one image, in pixels, at most."""


def previews(name: str) -> dict[str, bytes]:
    """A PNG for each domain: two examples of each of its first ten classes.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: it is not on this machine, or not what its card says.
    """
    return {domain.name: _png(_contact_sheet(domain)) for domain in thumbnails(name, _SIDE)}


def _contact_sheet(domain: Domain, rows: int = 2, columns: int = 10) -> NDArray[np.uint8]:
    """Pictures side by side, ``[h, w, 3]``; the examples of a class are taken from far apart in the domain."""
    members = [np.flatnonzero(domain.labels == label) for label in np.unique(domain.labels)[:columns]]
    picked = [np.array([m[(2 * row + 1) * len(m) // (2 * rows)] for m in members]) for row in range(rows)]
    return np.concatenate([np.concatenate(list(domain.inputs[row]), axis=1) for row in picked])


def _png(picture: NDArray[np.uint8], rows: int = 2) -> bytes:
    """A file; small pictures are enlarged by a whole number, so that they stay sharp."""
    height, width = picture.shape[:2]
    scale = max(1, _SIDE * rows // height)
    file = io.BytesIO()
    large = Image.fromarray(picture).resize((width * scale, height * scale), Image.Resampling.NEAREST)
    large.save(file, format="PNG", optimize=True)
    return file.getvalue()
