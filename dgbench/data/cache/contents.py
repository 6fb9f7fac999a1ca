"""What lies in the cache, by dataset; and taking some of it away."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dgbench.core.errors import UnknownNameError
from dgbench.core.files import read_json
from dgbench.core.paths import cache_root
from dgbench.core.shelf import Piece, remove, size_of
from dgbench.data.cache.kept import ABOUT, shelf

Kind = Literal["decoded", "views"]
"""Decoded squares, and validation images under shifts."""
KINDS: tuple[Kind, ...] = get_args(Kind)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Content:
    """Pieces of one kind and dataset.

    Attributes:
        kind: ``decoded`` or ``views``, which obey the bound; else the folder's name.
        dataset: Its name where the cache knows it, else what its manifest begins with; empty where there is none.
        form: Size of the images and how pictures become them, as ``224-stretch``.
        pieces: How many.
        bytes: What they take together.
        used: When one of them was last used, in seconds since 1970.
    """

    kind: str
    dataset: str
    form: str
    pieces: int
    bytes: int
    used: float


def contents() -> list[Content]:
    """All that lies in the cache, the largest first."""
    found = {
        (kind, dataset, form): _sum(kind, dataset, form, pieces) for (kind, dataset, form), pieces in _grouped().items()
    }
    return sorted([*found.values(), *_others()], key=lambda content: -content.bytes)


def chosen(kinds: Collection[Kind] = KINDS, dataset: str | None = None) -> dict[Content, list[Piece]]:
    """Pieces that may be taken away, the largest groups first.

    Args:
        kinds: Which.
        dataset: Of one dataset alone.

    Raises:
        UnknownNameError: nothing of that dataset lies there.
    """
    groups = {_sum(*key, pieces): pieces for key, pieces in _grouped().items() if key[0] in kinds}
    if dataset is not None:
        names = {content.dataset for content in groups}
        if dataset not in names:
            raise UnknownNameError("dataset in the cache", dataset, names)
        groups = {content: pieces for content, pieces in groups.items() if content.dataset == dataset}
    return dict(sorted(groups.items(), key=lambda one: -one[0].bytes))


def clear(pieces: Collection[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Take pieces away, and what killed processes left half-written; those that went, and those that are in use."""
    gone: list[Piece] = []
    kept: list[Piece] = []
    for piece in pieces:
        (gone if remove(piece) else kept).append(piece)
    shelf().clear()
    return gone, kept


def _grouped() -> dict[tuple[str, str, str], list[Piece]]:
    names = dict(_names(cache_root()))
    groups: dict[tuple[str, str, str], list[Piece]] = {}
    for piece in shelf().pieces():
        kind, manifest, form = _place(piece.path.relative_to(cache_root()))
        groups.setdefault((kind, names.get(manifest, manifest), form), []).append(piece)
    return groups


def _place(path: Path) -> tuple[str, str, str]:
    """Kind, beginning of the manifest, and form, of a piece by where it lies."""
    if path.parts[0] == "decoded":
        manifest, _, form = path.name.partition("-")
        return "decoded", manifest, form
    return "views", path.parts[2], path.parts[3]


def _names(root: Path) -> Iterator[tuple[str, str]]:
    """Names of datasets, by the beginning of their manifest, as what is decoded or built tells them."""
    for path in [*root.glob("datasets/*/dataset.json"), *root.glob(f"decoded/*/{ABOUT}")]:
        try:
            about = read_json(path)
            built = path.name != ABOUT
            yield (
                (about["manifest"] if built else about["spec"]["manifest"])[:16],
                about["name" if built else "dataset"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.debug("%s does not name its dataset (%r)", path, error)  # it has just gone, or is of an older version


def _sum(kind: str, dataset: str, form: str, pieces: list[Piece]) -> Content:
    last = max(piece.used for piece in pieces)
    return Content(kind, dataset, form, len(pieces), sum(piece.bytes for piece in pieces), last / 1e9)


def _others() -> Iterator[Content]:
    """What obeys no bound, by folder; what dgbench builds itself by dataset."""
    root = cache_root()
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.name.startswith(".") or folder.name in KINDS or not folder.is_dir():
            continue
        parts = [part for part in sorted(folder.iterdir()) if not part.name.startswith(".")]
        times = [part.stat().st_mtime for part in parts]
        if folder.name == "datasets":
            for part, time in zip(parts, times, strict=True):
                yield Content(folder.name, part.name.rpartition("-v")[0], "", 1, size_of(part), time)
        elif parts:
            yield Content(folder.name, "", "", len(parts), sum(map(size_of, parts)), max(times))
