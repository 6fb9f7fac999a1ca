"""Names of examples that hold wherever the data lies: by what a picture is, and never by what its file is called.

The name of an example is the first 16 hexadecimal digits of the SHA-256 of its content: of the file, or of the encoded
bytes in a table (``sha256sum FILE`` shows it); of shape and pixels where the picture is an array. Copies of one content
in a domain are numbered, and the k-th after the first is named by the SHA-256 of ``FIRST-k``. The first is the one with
the lowest label, then official part, then group, then row: among copies that agree in all but the row it makes no
difference which is which.

So names stay when files are renamed, moved, listed in another order or copied to another machine, and differ within a
domain. A picture that several domains show has one name in all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dgbench.data.domain import Domain

Contents = NDArray[np.uint64]
"""The first 64 bits of the SHA-256 of each picture, ``[n]``."""

_ROWS = 1024
"""Pictures that are asked for at once."""


def digest_of(picture: NDArray[np.uint8]) -> bytes:
    """SHA-256 of a decoded picture: its shape and values."""
    return hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).digest()


def contents_of(digests: Iterable[bytes]) -> Contents:
    """What is kept of the SHA-256 of pictures."""
    return np.frombuffer(b"".join(digest[:8] for digest in digests), ">u8").astype(np.uint64)


def pixel_contents(domain: Domain) -> Contents:
    """The contents of a domain whose pictures are arrays; computed now where they are not known."""
    if domain.contents is not None:
        return domain.contents
    rows = np.arange(len(domain), dtype=np.int64)
    parts = (domain.inputs[rows[start : start + _ROWS]] for start in range(0, len(rows), _ROWS))
    return contents_of(digest_of(picture) for part in parts for picture in part)


def sample_names(domain: Domain, rows: NDArray[np.int64]) -> list[str]:
    """The names of some examples of a domain: 16 hexadecimal digits each, no two of a domain are equal."""
    contents = pixel_contents(domain)
    numbers = contents.copy()
    for row, ordinal in _copies(domain, contents):
        numbers[row] = int(hashlib.sha256(f"{contents[row]:016x}-{ordinal}".encode()).hexdigest()[:16], 16)
    return [f"{number:016x}" for number in numbers[rows].tolist()]


def _copies(domain: Domain, contents: Contents) -> Iterable[tuple[int, int]]:
    """Rows of pictures that a domain has already shown, each with how often, in the order that numbers copies."""
    distinct, inverse, counts = np.unique(contents, return_inverse=True, return_counts=True)
    if len(distinct) == len(contents):
        return ()
    rows = np.flatnonzero(counts[inverse] > 1)
    official = np.zeros(len(rows)) if domain.official is None else domain.official[rows]
    rows = rows[np.lexsort((domain.groups[rows], official, domain.labels[rows], contents[rows]))]
    starts = np.flatnonzero(np.r_[True, contents[rows][1:] != contents[rows][:-1]])
    ordinals = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    again = ordinals > 0
    return zip(rows[again].tolist(), ordinals[again].tolist(), strict=True)
