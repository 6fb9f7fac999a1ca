"""Making room in a store: weights that no board wants, boards that are to be forgotten, work that no board lists."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dgbench.core.cards import Keep
from dgbench.core.errors import DamagedError, StoreError, UnknownNameError
from dgbench.core.seals import DONE, read_sealed
from dgbench.runs.keeping import Excess, excess, let_go
from dgbench.runs.listed import INDEX
from dgbench.runs.setting import stored
from dgbench.runs.store import BusyError, Kind, Store
from dgbench.runs.usage import Listed, Usage, bytes_of
from dgbench.runs.wishes import Boards


@dataclass(frozen=True)
class Gone:
    """A training or a run that goes as a whole."""

    kind: Kind
    id: str
    bytes: int


@dataclass(frozen=True)
class Pruning:
    """What is to go.

    Attributes:
        keep: The rule that boards get.
        ruled: The lists of boards that get it.
        forgotten: The lists of boards that go, with their pages.
        weights: Of trainings that stay.
        pieces: Trainings and runs that go as a whole.
    """

    keep: Keep | None
    ruled: tuple[Path, ...]
    forgotten: tuple[Path, ...]
    weights: tuple[Excess, ...]
    pieces: tuple[Gone, ...]

    @property
    def bytes(self) -> int:
        """All that goes."""
        return sum(over.bytes for over in self.weights) + sum(piece.bytes for piece in self.pieces)


def pruning(
    store: Store,
    names: Sequence[str] = (),
    *,
    keep: Keep | None = None,
    forget: bool = False,
    unlisted: bool = False,
) -> Pruning:
    """What would go; nothing is touched.

    Args:
        store: Which.
        names: Of boards; by default all boards of the store.
        keep: A rule for them in place of their own: which weights stay.
        forget: Whether these boards go, with all work that no other board lists.
        unlisted: Whether work goes that no board lists.

    Raises:
        UnknownNameError: the store has no board of a name.
        StoreError: the list of a board cannot be read, or there is none to be forgotten.
    """
    usage = Usage(store)
    if usage.damaged:
        raise StoreError(f"{usage.damaged[0]} is damaged, so nobody knows what it wants; 'dgbench store verify' first")
    known = {board.name for board in usage.boards}
    for name in names:
        if name not in known:
            raise UnknownNameError("board in this store", name, known)
    if forget and not names:
        raise StoreError("to forget a board, name it")
    meant = [board for board in usage.boards if not names or board.name in names]
    gone = [board for board in meant if forget]
    pieces = _leaving(usage, gone, unlisted=unlisted)
    ruled = tuple(board.path for board in meant if keep is not None and not forget)
    boards = Boards.of(store, without=[board.path for board in gone], keep=dict.fromkeys(ruled, keep or "chosen"))
    trainings = {id_ for board in meant for kind, id_ in board.pieces() if kind == "training"}
    stay = trainings - {id_ for kind, id_ in pieces if kind == "training"}
    return Pruning(
        keep,
        ruled,
        tuple(board.path for board in gone),
        tuple(over for id_ in sorted(stay) if (over := _excess(boards, id_)) is not None),
        tuple(Gone(kind, id_, sum(usage.sizes[kind, id_])) for kind, id_ in sorted(pieces)),
    )


def _excess(boards: Boards, training: str) -> Excess | None:
    try:
        return excess(boards, training)
    except DamagedError as error:
        boards.store.say(error)
        return None


def _leaving(usage: Usage, gone: Sequence[Listed], *, unlisted: bool) -> set[tuple[Kind, str]]:
    """The pieces that only boards list that go, and those that none lists."""
    stay = {piece for board in usage.boards if board not in gone for piece in board.pieces()}
    leaving = {piece for board in gone for piece in board.pieces()} - stay
    return (leaving | (usage.unlisted() if unlisted else set())) & usage.sizes.keys()


def prune(store: Store, what: Pruning) -> int:
    """Let it go; how many bytes. What another process works on stays."""
    freed = 0
    for path in what.ruled:
        content = read_sealed(path)
        if content["schema"] == INDEX:
            store.put_index(path, content | {"keep": what.keep})
    for path in what.forgotten:
        store.put_index(path, None)
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    for piece in what.pieces:
        freed += _remove(store, piece)
    boards = Boards.of(store)
    for over in what.weights:
        freed += let_go(boards, over.training, lambda spec: stored(spec, store, torch.device("cpu")))
    return freed


def _remove(store: Store, piece: Gone) -> int:
    folder = store.folder(piece.kind, piece.id)
    try:
        with store.owned(piece.kind, piece.id):
            if Usage(store).lists((piece.kind, piece.id)):
                return 0  # a board came meanwhile that lists it
            size = bytes_of(folder)
            (folder / DONE).unlink(missing_ok=True)  # if this is stopped, what is left is not finished
            shutil.rmtree(folder, ignore_errors=True)
            return size
    except BusyError:
        return 0
