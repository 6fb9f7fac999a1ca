"""Some images of each domain of a dataset, drawn by a named seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError, UnknownNameError
from dgbench.core.seeds import generator
from dgbench.data.catalogue import listing, squares
from dgbench.diagnostics.diagnosis import Seen

SIDE = 32
"""Pixels of an image's side. Label sharpness compares at one size alone, so it is the same for all datasets."""
MOST = 12
"""Domains that are looked at in one go: pairs grow with their square."""


def domains_of(dataset: str, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Those that are looked at, in the order of the dataset.

    Args:
        dataset: Its name.
        asked: Which, by name; all of them by default.

    Raises:
        UnknownNameError: there is no such dataset or domain.
        DataError: the dataset is not on this machine, or has more domains than are looked at in one go.
    """
    names = [domain.name for domain in listing(dataset).domains]
    for name in asked or ():
        if name not in names:
            raise UnknownNameError(f"domain of '{dataset}'", name, names)
    wanted = tuple(name for name in names if asked is None or name in asked)
    if not wanted:
        raise DataError("domains: none is named; name some, or leave them out for all")
    if len(wanted) > MOST:
        raise DataError(
            f"domains: '{dataset}' has {len(wanted)}, which make {len(wanted) * (len(wanted) - 1) // 2:,} pairs; name "
            f"{MOST} of them or fewer: --domain {wanted[0]} --domain {wanted[1]}, domains=[...] in Python"
        )
    return wanted


def look(dataset: str, domains: Sequence[str], images: int) -> Iterator[Seen]:
    """The same images each time, and more of them begin with the same ones.

    Args:
        dataset: Its name.
        domains: Which.
        images: How many of each, at most.

    Raises:
        DataError: the dataset is not on this machine, one of its pictures is damaged, or ``images`` is too few.
    """
    if images < 2:
        raise DataError(f"images: {images} of a domain cannot be compared; ask for 2 or more, such as 1000")
    for domain in squares(dataset, SIDE):
        if domain.name in domains:
            rows = drawn(dataset, domain.name, len(domain))[:images]
            pixels = np.asarray(domain.inputs[rows], dtype=np.float32).reshape(len(rows), -1) / np.float32(255)
            yield Seen(domain.name, rows, pixels, domain.labels[rows], domain.labels)


def drawn(dataset: str, domain: str, count: int) -> NDArray[np.int64]:
    """All rows of a domain, in random order."""
    return generator("look", dataset, domain).permutation(count)
