"""The identity of a dataset that lies on disk: one hash over all that can be seen of it, before anything is decoded.

The digest of a picture is kept in the cache with the stamp (size and time) of its file, so that only what is new or
changed is read again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from dgbench.core.files import whole
from dgbench.core.paths import cache_root
from dgbench.core.processes import cores
from dgbench.data.listing import Listing, Pictures
from dgbench.data.samples import contents_of

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Is told how many pictures are done, and how many there are."""
Known = dict[bytes, tuple[str, bytes]]
"""Stamp and digest of each picture, by its name."""

_ROWS = 64
"""Pictures that a thread digests in one go."""
_SCHEMA = {"name": pl.Binary, "stamp": pl.String, "digest": pl.Binary}
"""Names of files may hold bytes that are no text."""


def silent(done: int, total: int) -> None:
    """Progress that nobody sees."""


def identified(listing: Listing, root: Path, progress: Progress = silent) -> tuple[Listing, str]:
    """The listing with what its pictures contain, and its manifest.

    The manifest is the SHA-256 over class names and, for each domain, its name, pictures, labels, groups and official
    splits, in order. Names of files are no part of it: data that was moved or renamed is the same data.

    Args:
        listing: What is there.
        root: Where it lies. Digests are kept by it, since pictures are named by their path below it.
        progress: Is told how many pictures are digested.

    Raises:
        DataError: a picture cannot be read.
    """
    content = hashlib.sha256("\x1f".join(listing.classes).encode())
    content.update(f"\x1e{listing.shared_groups}".encode())
    for domain in listing.domains:
        content.update(f"\x1e{domain.name}\x1f{len(domain)}\x1f".encode())
        for array in (domain.labels, domain.groups):
            kind = "<f8" if array.dtype.kind == "f" else "<i8"
            content.update(np.ascontiguousarray(array).astype(kind, copy=False).tobytes())
        content.update("\x1f".join(() if domain.official is None else domain.official.tolist()).encode())
    digests = _digests(listing, root, progress)
    content.update(b"".join(digests))
    those = iter(digests)
    domains = [replace(d, contents=contents_of(islice(those, len(d)))) for d in listing.domains]
    return replace(listing, domains=tuple(domains)), content.hexdigest()


def _digests(listing: Listing, root: Path, progress: Progress) -> list[bytes]:
    """Digests of all pictures, in order; what is new is kept, even when something stops the work half-way."""
    place = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    path = cache_root() / "digests" / f"{listing.name}-{place}.parquet"
    known, fresh = _read(path), Known()
    digests: list[bytes] = []
    total = sum(map(len, listing.domains))

    def work(part: tuple[Pictures, range]) -> list[bytes]:
        pictures, rows = part
        return [_digest(pictures, row, known, fresh) for row in rows]

    with ThreadPoolExecutor(2 * cores()) as pool:  # threads wait for the disk as much as they hash
        try:
            for part in pool.map(work, _parts(listing)):
                digests += part
                progress(len(digests), total)
        finally:
            pool.shutdown(cancel_futures=True)
            if fresh:
                _write(path, known | fresh)
    return digests


def _parts(listing: Listing) -> Iterator[tuple[Pictures, range]]:
    for domain in listing.domains:
        for start in range(0, len(domain), _ROWS):
            yield domain.pictures, range(start, min(start + _ROWS, len(domain)))


def _digest(pictures: Pictures, row: int, known: Known, fresh: Known) -> bytes:
    # The stamp is taken first: if the file changes while it is read, the stamp of the next time is another one.
    name, stamp = pictures.name(row).encode("utf-8", "surrogatepass"), pictures.stamp(row)
    if name in known and known[name][0] == stamp:
        return known[name][1]
    digest = pictures.digest(row)
    fresh[name] = (stamp, digest)
    return digest


def _read(path: Path) -> Known:
    if not path.is_file():
        return {}
    try:
        table = pl.read_parquet(path, columns=list(_SCHEMA)).cast({"name": pl.Binary})  # it was text once
    except (OSError, pl.exceptions.PolarsError) as error:
        log.warning("the digests in %s are damaged (%s): the pictures are digested anew", path, error)
        return {}
    return {name: (stamp, digest) for name, stamp, digest in table.iter_rows()}


def _write(path: Path, known: Known) -> None:
    rows = [(name, stamp, digest) for name, (stamp, digest) in known.items()]
    with whole(path) as temporary:
        pl.DataFrame(rows, schema=_SCHEMA, orient="row").write_parquet(temporary)
