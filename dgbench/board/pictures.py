"""Small pictures of a dataset, for pages: of each domain, and of single examples."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import dataset_card
from dgbench.data.catalogue import listing, outline, showable, thumbnails
from dgbench.data.domain import Domain
from dgbench.data.splits import strata

_SIDE = 48
"""Of one image, in pixels, at most."""


def previews(name: str) -> dict[str, bytes]:
    """A PNG for each domain: two examples of each of its first ten classes, or of each tenth of its values.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: it is not on this machine, or not what its card says.
    """
    return {domain.name: _png(_contact_sheet(domain)) for domain in thumbnails(name, _SIDE)}


def of_board(card: BoardCard) -> dict[str, bytes]:
    """A picture of each domain of a board's dataset, where its data is here, or made here, and cases are domains."""
    if len(card.dataset) > 1 or card.protocol == "single-source" or not showable(card.dataset[0]):
        return {}
    return previews(card.dataset[0])


def portraits(name: str, manifest: str, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
    """A PNG of single examples, by domain and row; nothing where this data is not on this machine.

    Args:
        name: Of the dataset.
        manifest: Of the data that the rows were counted in.
        wanted: Domains and rows.
    """
    asked = list(wanted)
    return pictured(name, asked) if asked and outline(name).manifest == manifest else {}


def pictured(name: str, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
    """A PNG of single examples of the data that is on this machine, by domain and row.

    Args:
        name: Of the dataset.
        wanted: Domains and rows.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: it is not on this machine, or not what its card says.
    """
    rows: dict[str, list[int]] = {}
    for domain, row in dict.fromkeys(wanted):
        rows.setdefault(domain, []).append(row)
    found: dict[tuple[str, int], bytes] = {}
    for shown in thumbnails(name, _SIDE) if rows else ():
        own = rows.get(shown.name, [])
        images = shown.inputs[np.array(own, dtype=np.int64)] if own else ()
        found |= {(shown.name, row): _png(image, 1) for row, image in zip(own, images, strict=True)}
    return found


def class_names(name: str) -> Sequence[str]:
    """What the classes of a dataset are called, by number; nothing where neither its card nor data at hand says it."""
    classes = dataset_card(name).classes
    if not isinstance(classes, int):
        return classes
    return listing(name).classes if outline(name).manifest is not None else ()


def _contact_sheet(domain: Domain, rows: int = 2, columns: int = 10) -> NDArray[np.uint8]:
    """Pictures side by side, ``[h, w, 3]``; the examples of a class are taken from far apart in the domain."""
    classes = strata(domain.labels)
    members = [np.flatnonzero(classes == label) for label in np.unique(classes)[:columns]]
    picked = [np.array([m[(2 * row + 1) * len(m) // (2 * rows)] for m in members]) for row in range(rows)]
    return np.concatenate([np.concatenate(list(domain.inputs[row]), axis=1) for row in picked])


def _png(picture: NDArray[np.uint8], rows: int = 2) -> bytes:
    """A file; small pictures are enlarged by a whole number, so that they stay sharp."""
    height, width = picture.shape[:2]
    scale = max(1, _SIDE * rows // height)
    file = io.BytesIO()
    large = Image.fromarray(picture).resize((width * scale, height * scale), Image.Resampling.NEAREST)
    large.save(file, format="PNG")  # to optimise it takes ten times as long, and saves 3 %
    return file.getvalue()
