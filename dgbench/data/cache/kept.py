"""The cache as a shelf: decoded squares and shifted images below one bound, the least recently used go first.

What else lies in the cache is small, or cannot be made again from what is on this machine, and stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dgbench.core.paths import cache_root
from dgbench.core.shelf import Piece, Shelf, piece

LIMIT = "DGBENCH_CACHE_LIMIT"
ABOUT = "prepared.json"
"""What is written last into a folder of squares, and so its mark."""


def shelf() -> Shelf:
    """The cache: a file for the images of a domain under a family of shifts, a folder for a decoded dataset."""
    root = cache_root()
    return Shelf(root, ("decoded", "views"), "the cache", LIMIT, lambda: _find(root))


def lock_of(path: Path) -> Path:
    """Held by who makes a piece of the cache."""
    return path.with_name(f".{path.name}.lock")


def _find(root: Path) -> Iterator[Piece | None]:
    for path in (root / "decoded").glob("[!.]*"):
        yield piece(path, path / ABOUT, lock_of(path))
    for parent, folders, names in os.walk(root / "views"):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            yield piece(path, path, lock_of(path))
