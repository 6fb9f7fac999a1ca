"""Pictures of a dataset for people who look at it: of each domain, as they are and under every family of shifts."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.shift_families import FAMILIES
from dgbench.data.catalogue import thumbnails
from dgbench.data.domain import Domain
from dgbench.data.splits import strata

CLEAN = "clean"
_SIDE, _EXAMPLES, _DOMAINS = 48, 8, 8
"""Pixels of a picture, pictures in a row, and domains that are shown, at most."""


def gallery(name: str) -> dict[str, dict[str, bytes]]:
    """For each domain, and for ``clean`` and each family of shifts: a PNG of one example of each of its first classes.

    The same examples stand in the same places, and the same shifts are drawn each time.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: it is not on this machine, or not what its card says.
    """
    return {domain.name: _rows(domain) for domain in list(thumbnails(name, _SIDE))[:_DOMAINS]}


def _rows(domain: Domain) -> dict[str, bytes]:
    from dgbench.data.shifts import shift  # and torch: a site that shows no data does without

    classes = strata(domain.labels)
    first = [np.flatnonzero(classes == label)[0] for label in np.unique(classes)[:_EXAMPLES]]
    images = list(domain.inputs[np.array(first)])
    shown = {CLEAN: _png(images)}
    for family in FAMILIES:
        shown[family] = _png([shift(image, family, _seed(domain.name, family, at)) for at, image in enumerate(images)])
    return shown


def _seed(*what: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:8])


def _png(images: list[NDArray[np.uint8]]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.concatenate(images, axis=1)).save(file, format="PNG", optimize=True)
    return file.getvalue()
