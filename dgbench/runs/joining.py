"""Bringing finished work of one store into another. What is there stays as it is, so to do it twice does nothing."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dgbench.core.errors import DamagedError, StoreError, UnknownNameError
from dgbench.core.files import read_json, whole
from dgbench.core.seals import DONE, Files, foreign, read_sealed, write_sealed
from dgbench.core.spec import Spec, identity
from dgbench.runs.copies import SPEC
from dgbench.runs.store import BusyError, Kind, Store
from dgbench.runs.usage import Usage

_KINDS: tuple[Kind, ...] = ("training", "run")


@dataclass(frozen=True)
class Joined:
    """What came of it.

    Attributes:
        trainings, runs: How many were copied.
        bytes: Of them.
        there: How many pieces were there before.
        busy: How many another process is at, in the store that they were to come into.
        boards: How many lists of boards' runs were copied, or grew.
        damaged: What is not what was written, and was left out.
    """

    trainings: int
    runs: int
    bytes: int
    there: int
    busy: int
    boards: int
    damaged: tuple[str, ...]


def join(into: Store, other: Store, names: Collection[str] = ()) -> Joined:
    """Copy finished trainings and runs, the lists of boards that list them, and why trainings failed.

    Every file is hashed before it is copied, and a piece has to be what its id says. A piece that is there stays,
    whatever weights the other one kept; of two lists of one board that with more runs stays. Features of frozen
    backbones are computed again where they are wanted.

    Args:
        into: Where it comes.
        other: What is read; nothing of it is changed.
        names: Of boards; by default all that is finished comes.

    Raises:
        StoreError: both are the same store.
        UnknownNameError: the other store has no board of a name.
    """
    if into.place == other.place or into.root.resolve() == other.root.resolve():
        raise StoreError(f"{other.place} is the store itself")
    usage = Usage(other)
    known = {board.name for board in usage.boards}
    for name in names:
        if name not in known:
            raise UnknownNameError(f"board in {other.place}", name, known)
    boards = [board for board in usage.boards if not names or board.name in names]
    pieces = {piece for board in boards for piece in board.pieces()}
    wanted = pieces if names else {(kind, id_) for kind in _KINDS for id_ in other.pieces(kind)}
    counts = {"training": 0, "run": 0, "bytes": 0, "there": 0, "busy": 0}
    damaged = [str(path) for path in usage.damaged]
    for kind, id_ in sorted(wanted, reverse=True):  # trainings first: a run is never there without its own
        if not other.finished(kind, id_):
            continue
        try:
            size = _copied(into, other, kind, id_)
        except BusyError:
            counts["busy"] += 1
        except DamagedError as error:
            damaged.append(f"{error.folder / error.file} {error.what}")
        else:
            counts["there" if size is None else kind] += 1
            counts["bytes"] += size or 0
    grown = [board.path for board in boards if _listed(into, board.path, other.root)]
    for kind, id_ in sorted(wanted if names else {("training", path.stem) for path in _notes(other)}):
        if kind == "training":
            try:
                _note(into, other, id_)
            except StoreError as error:
                damaged.append(str(error))
    return Joined(
        trainings=counts["training"],
        runs=counts["run"],
        bytes=counts["bytes"],
        there=counts["there"],
        busy=counts["busy"],
        boards=len(grown),
        damaged=tuple(damaged),
    )


def _copied(into: Store, other: Store, kind: Kind, id_: str) -> int | None:
    """Copy a piece; how many bytes, None where it is there."""
    if into.finished(kind, id_):
        return None
    folder = other.folder(kind, id_)
    seal = foreign((folder / DONE).read_bytes(), folder)
    spec = other.read(kind, id_, SPEC)
    if identity(spec) != id_:
        raise DamagedError(folder, SPEC, f"is of {kind} {identity(spec)}")
    with into.claim(kind, spec) as made:
        if made is None:
            return None
        for name in seal["files"]:
            with whole(made / name) as temporary:
                shutil.copyfile(other.file(kind, id_, name), temporary)
        shutil.rmtree(made / "state", ignore_errors=True)  # what it would have gone on from
        write_sealed(made / DONE, seal)
    files: Files = seal["files"]
    return sum(int(size) for size, _ in files.values())


def _listed(into: Store, path: Path, root: Path) -> bool:
    """Copy the list of a board's runs, unless one is there that lists as many."""
    content, own = read_sealed(path), into.root / path.relative_to(root)
    try:
        if len(read_sealed(own)["entries"]) >= len(content["entries"]):
            return False
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        into.mend_index(own)
    into.put_index(own, content)
    return True


def _notes(store: Store) -> list[Path]:
    store.sharing.fetch_notes("failures")
    return sorted((store.root / "failures").glob("*.json"))


def _note(into: Store, other: Store, id_: str) -> None:
    """Copy why a training failed, where it was not done since."""
    if other.failure(id_) is not None and into.failure(id_) is None and not into.finished("training", id_):
        content: Spec = read_json(other.failure_note(id_))
        into.note_failure(id_, content)
