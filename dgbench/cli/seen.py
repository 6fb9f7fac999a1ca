"""A leaderboard that was looked at before: its files and its text stand while all that they follow from is the same.

    store/boards/<name>/<id>/known/seen-<criterion>/   files.parquet  shown.parquet  done.json

They follow from what the store holds, from cards, lists, pictures and submissions, and from what computes and renders:
the code of dgbench and the versions of libraries. A digest of all that identifies a look. What the store holds is in it
by the stamps of its files, so no record is read. What has another digest is computed and written again; so are files
that are gone or were changed.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.api.boards import Board, beside
from dgbench.api.measuring import familiar_to
from dgbench.board.pictures import of_board
from dgbench.cli.output import unsaid
from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import StoreError
from dgbench.core.known import versions
from dgbench.core.paths import shipped
from dgbench.core.provenance import code, revision
from dgbench.runs.finished import Pieces
from dgbench.runs.remembered import STAMP, noted, place, recalled
from dgbench.runs.roll import Roll
from dgbench.runs.stamps import NO_STAMP, stamp
from dgbench.runs.store import Store

VERSION = "dgbench.seen/2"
FILES = pl.Schema({"look": pl.String(), "file": pl.String(), **STAMP})
"""Of a look the files that it wrote, as they were then."""
SHOWN = pl.Schema({"look": pl.String(), "screen": pl.String(), "text": pl.String()})
"""Of a look what it printed, by the kind of screen."""
_TABLES = {"files": FILES, "shown": SHOWN}
_LIBRARIES = ("polars", "numpy", "scipy", "pillow", "jinja2", "rich")
_SCREENS = 4
"""Kinds of screens of which the text is kept, those that were used last."""


@dataclass(frozen=True)
class Look:
    """A look at a leaderboard.

    Attributes:
        store: Where it is noted.
        rules: The board's.
        identity: A digest of all that its files and its text follow from.
        folder: Where its files lie.
    """

    store: Store
    rules: BoardCard
    identity: str
    folder: Path

    @classmethod
    def at(cls, board: Board, rules: BoardCard, criterion: str | None, store: Store) -> Look:
        """A look at what is there. Nothing of it is computed, nor is any record read that was read before.

        Args:
            board: As it was asked for: lists and submissions lie beside its rules.
            rules: Its rules.
            criterion: What selects models, in place of the board's own.
            store: Where its files lie by default.
        """
        digest = hashlib.sha256()
        for part in _parts(board, rules, criterion, store):
            said = part.to_numpy().tobytes() if isinstance(part, pl.Series) else repr(part).encode()
            digest.update(hashlib.sha256(said).digest())
        return cls(store, rules, digest.hexdigest(), folder_of(rules, criterion, store))

    def again(self, screen: str | None) -> tuple[list[Path], str] | None:
        """The files and the text of an earlier look that was the same; None where there was none, or files differ.

        Args:
            screen: The kind of screen; None where no text is asked for.
        """
        before = self._before()
        wrote = before["files"].filter(look=self.identity)
        paths = [self.folder / name for name in wrote["file"]]
        shown = before["shown"].filter(look=self.identity, screen=screen)["text"].to_list() if screen else [""]
        as_they_were = all(
            stamp(path) == was for path, was in zip(paths, wrote.select(*STAMP).iter_rows(), strict=True)
        )
        return (paths, shown[0]) if paths and shown and as_they_were else None

    def note(self, paths: Sequence[Path], screen: str | None, text: str) -> None:
        """Note what was written and printed."""
        stamped = [(self.identity, path.name, *(stamp(path) or NO_STAMP)) for path in paths]
        shown = self._before()["shown"].filter(pl.col("look") == self.identity, pl.col("screen") != (screen or ""))
        new = pl.DataFrame([(self.identity, screen, text)] if screen else [], SHOWN, orient="row")
        tables = {"files": pl.DataFrame(stamped, FILES, orient="row"), "shown": pl.concat([shown, new]).tail(_SCREENS)}
        noted(self.store, self._place, VERSION, tables)

    @property
    def _place(self) -> Path:
        return place(self.store, self.rules, f"seen-{self.folder.name}")

    def _before(self) -> dict[str, pl.DataFrame]:
        return recalled(self._place, VERSION, _TABLES)


def folder_of(rules: BoardCard, criterion: str | None, store: Store) -> Path:
    """Where the files of a leaderboard lie, unless they are asked for elsewhere."""
    return store.index(rules).with_suffix("") / (criterion or rules.criterion)


def _parts(board: Board, rules: BoardCard, criterion: str | None, store: Store) -> Iterator[Any]:
    """All that a leaderboard's files and its text follow from."""
    yield VERSION, versions(*_LIBRARIES), code(), revision()
    yield rules, criterion
    yield from _held(rules, store)
    yield _stamped(shipped("algorithms")), [dataset_card(name) for name in rules.dataset]
    yield of_board(rules)
    lists = familiar_to(board)
    yield lists.identity, lists.said
    if (into := beside(board, None)) is not None:
        yield _stamped(into)


def _held(rules: BoardCard, store: Store) -> Iterator[Any]:
    """What the store has of a board: its list, every file of what is finished, and notes of what failed."""
    yield stamp(store.index(rules))
    with suppress(StoreError), unsaid():  # whoever reads the records is told
        pieces = Pieces.of(store, store.index(rules), Roll.at(store, rules).pieces)
        yield pieces.files.hash_rows().sort()
        yield sorted(pieces.damaged)
    yield _stamped(store.root / "failures")


def _stamped(folder: Path) -> list[tuple[Path, Any]]:
    """Every file below a folder, with its stamp."""
    return [(path.relative_to(folder), stamp(path)) for path in sorted(folder.rglob("*"))]


class _Ear(logging.Handler):
    """Hears whether anything is said."""

    heard = False

    def emit(self, record: logging.LogRecord) -> None:
        self.heard = True


@contextmanager
def listening() -> Iterator[Callable[[], bool]]:
    """Whether something was said meanwhile. Whoever looks next is to be told, too, so such a look is not noted."""
    ear = _Ear(logging.WARNING)
    logger = logging.getLogger("dgbench")
    logger.addHandler(ear)
    try:
        yield lambda: ear.heard
    finally:
        logger.removeHandler(ear)
