"""What lies in a store, by board and algorithm, and how much room it takes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dgbench.runs.listed import INDEX, read_list
from dgbench.runs.store import Kind, Store

_WEIGHTS = ("weights", "state")
"""Folders of a training: pieces of its way, and what it resumes from."""


@dataclass(frozen=True)
class Listed:
    """A board of the store: what is asked by one set of rules.

    Attributes:
        path: The list of its runs.
        entries: Each names an algorithm, a training and a run.
        starts: Trainings that others follow.
        judges: Each names an algorithm whose candidate it judges, a training and a run.
        keep: Which weights stay; ``all`` on lists of earlier versions, which kept everything.
    """

    path: Path
    entries: tuple[dict[str, Any], ...] = field(repr=False)
    starts: frozenset[str] = field(repr=False)
    judges: tuple[dict[str, Any], ...] = field(repr=False)
    keep: str

    @property
    def name(self) -> str:
        """The board's."""
        return self.path.parent.name

    @property
    def algorithms(self) -> tuple[str, ...]:
        """In the board's order."""
        return tuple(dict.fromkeys(entry["algorithm"] for entry in self.entries))

    def pieces(self, algorithm: str | None = None) -> set[tuple[Kind, str]]:
        """Trainings and runs of the board, or of one of its algorithms."""
        found: set[tuple[Kind, str]] = set()
        for entry in (*self.entries, *self.judges):
            if algorithm in (None, entry["algorithm"]):
                found |= {("training", entry["training"]), ("run", entry["run"])}
        return found if algorithm else found | {("training", start) for start in self.starts}


@dataclass(frozen=True)
class Room:
    """Bytes: of weights, of runs with their predictions, and of the rest."""

    weights: int = 0
    predictions: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.predictions + self.other


class Usage:
    """What lies in a store now.

    Args:
        store: Which.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.boards: list[Listed] = []
        self.damaged: list[Path] = []
        for path in store.indices():
            try:
                content = read_list(path)
            except (OSError, ValueError):
                self.damaged.append(path)
                continue
            starts = {start for each in content.get("starts", {}).values() for start in each.values()}
            starts |= {one for each in content.get("reads", {}).values() for one in each}
            keep = content["keep"] if content.get("schema") == INDEX else "all"
            judges = tuple(content.get("judges", ()))
            self.boards.append(Listed(path, tuple(content["entries"]), frozenset(starts), judges, keep))

    @cached_property
    def sizes(self) -> dict[tuple[Kind, str], tuple[int, int]]:
        """Of every training and run that is there: bytes of its weights, and of everything else."""
        kinds: tuple[Kind, Kind] = ("training", "run")
        return {(kind, id_): self._size(kind, id_) for kind in kinds for id_ in self.store.pieces(kind)}

    def _size(self, kind: Kind, id_: str) -> tuple[int, int]:
        folder = self.store.folder(kind, id_)
        parts = [bytes_of(folder / name) for name in _WEIGHTS] if kind == "training" else []
        return sum(parts), bytes_of(folder) - sum(parts)

    def room(self, pieces: Iterable[tuple[Kind, str]]) -> Room:
        """What some pieces take, each once."""
        found = {piece: self.sizes[piece] for piece in set(pieces) if piece in self.sizes}
        return Room(
            weights=sum(weights for weights, _ in found.values()),
            predictions=sum(rest for (kind, _), (_, rest) in found.items() if kind == "run"),
            other=sum(rest for (kind, _), (_, rest) in found.items() if kind == "training"),
        )

    def finished(self, board: Listed) -> int:
        """How many entries of a board are done, with their trainings."""
        return sum(
            self.store.finished("run", entry["run"]) and self.store.finished("training", entry["training"])
            for entry in board.entries
        )

    def lists(self, piece: tuple[Kind, str]) -> bool:
        """Whether a training or a run is on some board's list."""
        return any(piece in board.pieces() for board in self.boards)

    def unlisted(self) -> set[tuple[Kind, str]]:
        """Trainings and runs that no board lists."""
        listed = {piece for board in self.boards for piece in board.pieces()}
        return set(self.sizes) - listed

    def features(self) -> int:
        """Bytes of features of frozen backbones, which boards share."""
        return bytes_of(self.store.root / "features")

    def aside(self) -> int:
        """Bytes of what was damaged and is set aside."""
        return bytes_of(self.store.root / "damaged")


def bytes_of(folder: Path) -> int:
    """Of all files below a folder; 0 where there is none."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - many thousands
            except FileNotFoundError:  # it went meanwhile
                continue
    return total
