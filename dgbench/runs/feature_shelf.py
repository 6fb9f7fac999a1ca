"""How much room the features of a store may take, and what goes first."""

from __future__ import annotations

from collections.abc import Iterator

from dgbench.core.seals import DONE
from dgbench.core.shelf import Piece, Shelf, piece
from dgbench.runs.store import Store

LIMIT = "DGBENCH_FEATURES_LIMIT"


def shelf(store: Store) -> Shelf:
    """The features of a store: below a bound, the least recently used go first."""
    return Shelf(store.root, ("features",), "the features of a store", LIMIT, lambda: _find(store))


def _find(store: Store) -> Iterator[Piece | None]:
    for id_ in store.pieces("features"):
        folder = store.folder("features", id_)
        yield piece(folder, folder / DONE, store.lock("features", id_))
