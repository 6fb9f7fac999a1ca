"""Reading a whole store again: every file of every finished piece of work against its seal."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dgbench.core.processes import cores
from dgbench.core.seals import DONE, unsealed
from dgbench.runs.listed import index_damage
from dgbench.runs.store import KINDS, BusyError, Kind, Store


@dataclass(frozen=True)
class Damage:
    """What is wrong with a piece of work, and where it lies now, if it was set aside."""

    what: str
    aside: Path | None


@dataclass(frozen=True)
class Verified:
    """What there is of a kind of work.

    Attributes:
        kind: Which.
        pieces: How many are there, finished or not.
        unfinished: How many of them are not finished; they go on from their last checkpoint, or are begun again.
        unsealed: How many are finished and have no seal: an earlier dgbench made them, and nothing tells damage.
        files, bytes: How many were hashed.
        damaged: Every piece that is not what was written.
    """

    kind: Kind | Literal["board"]
    pieces: int
    unfinished: int
    unsealed: int
    files: int
    bytes: int
    damaged: tuple[Damage, ...]


def verify(
    store: Store, *, set_aside: bool = True, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Verified]:
    """Hash every file of a store; what is damaged is set aside, and what killed processes left is cleared away.

    Args:
        store: Other processes may be at work on it.
        set_aside: If not, nothing is touched.
        progress: Is told how many pieces were looked at, and how many there are.
    """
    pieces = {kind: store.pieces(kind) for kind in KINDS}
    total = sum(map(len, pieces.values()))
    results: list[Verified] = []
    with ThreadPoolExecutor(cores()) as pool:  # hashing lets other threads run
        for kind, ids in pieces.items():
            looked = []
            for one in pool.map(lambda id_, kind=kind: _look(store, kind, id_, set_aside), ids):
                looked.append(one)
                progress(sum(result.pieces for result in results) + len(looked), total)
            results.append(_sum(kind, looked))
    results.append(_sum("board", [_look_at_index(store, path, set_aside) for path in store.indices()]))
    if set_aside:
        store.clear_all()
    return results


def _look(store: Store, kind: Kind, id_: str, set_aside: bool) -> Verified:
    folder = store.folder(kind, id_)
    if unsealed(folder):
        return Verified(kind, 1, 0, 1, 0, 0, ())
    finished = (folder / DONE).is_file()
    damage = store.damage(kind, id_)
    if damage is None:
        listed = (store.done(kind, id_) or {}).get("files", {})
        return Verified(kind, 1, int(not finished), 0, len(listed), sum(size for size, _ in listed.values()), ())
    aside = None
    if set_aside:
        try:
            aside = store.mend(kind, id_)
        except BusyError:  # another process found it, and does it again
            return Verified(kind, 1, 1, 0, 0, 0, ())
    return Verified(
        kind, 1, int(not finished), 0, 0, 0, (Damage(f"{damage.folder / damage.file} {damage.what}", aside),)
    )


def _look_at_index(store: Store, path: Path, set_aside: bool) -> Verified:
    damage = index_damage(path)
    if damage is None:
        return Verified("board", 1, 0, 0, 1, path.stat().st_size, ())
    return Verified("board", 1, 0, 0, 0, 0, (Damage(damage, store.mend_index(path) if set_aside else None),))


_COUNTS = ("pieces", "unfinished", "unsealed", "files", "bytes")


def _sum(kind: Kind | Literal["board"], looked: list[Verified]) -> Verified:
    counts = {name: sum(getattr(one, name) for one in looked) for name in _COUNTS}
    return Verified(kind, **counts, damaged=tuple(damage for one in looked for damage in one.damaged))
