"""The identity of a dataset: one hash over everything that a training or a test can see of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from dgbench.data.domain import Dataset, Domain


def manifest(classes: Sequence[str], domains: Sequence[Domain]) -> str:
    """SHA-256 over class names, and for each domain its name, shapes, images, labels, groups and official splits.

    The images are arrays in memory; ``content.identified`` is for those on disk.
    """
    digest = hashlib.sha256("\x1f".join(classes).encode())
    for domain in domains:
        digest.update(f"\x1e{domain.name}".encode())
        official = () if domain.official is None else (domain.official,)
        for array in (np.asarray(domain.inputs), domain.labels, domain.groups, *official):
            little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
            digest.update(f"\x1f{little.dtype.str}{little.shape}".encode())
            digest.update(little.tobytes())
    return digest.hexdigest()


def assemble(name: str, classes: Sequence[str], domains: Sequence[Domain]) -> Dataset:
    """A dataset with its manifest."""
    return Dataset(name, tuple(classes), tuple(domains), manifest(classes, domains))
