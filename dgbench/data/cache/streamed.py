"""Pictures decoded whenever they are asked for: slower than what was prepared, and no space is needed.

It is for data that does not fit on the disk a second time. The images are those of ``prepare``, bit for bit.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgbench.core.decoding import AS_LOADERS, Decoding
from dgbench.core.processes import cores
from dgbench.data.domain import Dataset, Domain
from dgbench.data.listing import DomainListing, Listing, Picture, Pictures
from dgbench.data.pixels.square import Resize, form, squared

_QUICK = 0.0005
"""Seconds in which a picture is decoded that is so small that threads, which take turns at the rest, would hinder."""


@dataclass(frozen=True)
class Streamed:
    """Square uint8 images ``[n, size, size, 3]`` that are read by row from where they lie.

    Attributes:
        pictures: Of one domain.
        size: Side of an image in pixels.
        resize: How a picture becomes a square.
        decoding: How its file becomes RGB.
    """

    pictures: Pictures
    size: int
    resize: Resize
    decoding: Decoding

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, size, size, 3)``."""
        return (len(self), self.size, self.size, 3)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images of some rows, decoded in a few threads; raises DataError that names an unreadable picture."""
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        if not len(rows):
            return images
        first, *others = rows.tolist()
        start = time.perf_counter()
        images[0] = self._image(first)
        quick = time.perf_counter() - start < _QUICK
        # Pillow lets other threads run while it decodes and resizes. None outlives the call, so that a process that
        # forks has nothing to lose; none starts before it is asked for something.
        with ThreadPoolExecutor(cores()) as pool:
            for number, image in enumerate((map if quick else pool.map)(self._image, others), 1):
                images[number] = image
        return images

    def _image(self, row: int) -> Picture:
        return squared(self.pictures, row, self.size, self.resize, self.decoding)


def wanted() -> bool:
    """Whether ``$DGBENCH_STREAM`` asks for that."""
    return os.environ.get("DGBENCH_STREAM") == "1"


def stream(listing: Listing, manifest: str, size: int, resize: Resize, decoding: Decoding = AS_LOADERS) -> Dataset:
    """A dataset whose images are decoded anew whenever they are asked for.

    Args:
        listing: What is there.
        manifest: Of the listing.
        size: Side of an image in pixels.
        resize: How a picture becomes a square.
        decoding: How its file becomes RGB.
    """
    domains = tuple(streamed(domain, size, resize, decoding) for domain in listing.domains)
    made = form(size, resize, decoding)
    return Dataset(listing.name, listing.classes, domains, manifest, listing.shared_groups, made)


def streamed(domain: DomainListing, size: int, resize: Resize, decoding: Decoding) -> Domain:
    """One domain of such a dataset."""
    images = Streamed(domain.pictures, size, resize, decoding)
    given = (domain.labels, domain.groups, domain.official, domain.contents, domain.judged, domain.part_of)
    return Domain(domain.name, images, *given)
