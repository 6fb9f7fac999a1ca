"""Letting go of weights that no board of the store wants any more.

What stays is sound all the time: a candidate that is made of many pieces is written before they go, the seal says what
is left before a file is gone, and a process that was killed in between is finished for by the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dgbench.core.disk import DiskError
from dgbench.core.errors import DamagedError, DGBenchError
from dgbench.core.pieces import INITIAL, candidate, checkpoint, file, pieces
from dgbench.core.seals import DONE, MIDWAY, described, sealed, write_sealed
from dgbench.core.spec import Spec
from dgbench.runs.candidates import kept_itself
from dgbench.runs.store import BusyError
from dgbench.runs.wish import averaging_part, made_of
from dgbench.runs.wishes import Boards
from dgbench.train.spec import TrainingSpec
from dgbench.train.trajectory import StoredTrajectory, save

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Excess:
    """What can go of a training.

    Attributes:
        training: Its id.
        files: The files that go.
        bytes: How many they have.
        made: Candidates that are made of them first, each with its averaging part.
    """

    training: str
    files: tuple[str, ...]
    bytes: int
    made: tuple[tuple[Spec, int], ...] = ()


def excess(boards: Boards, id_: str) -> Excess | None:
    """What a finished training has and no board wants; None where that is nothing.

    Raises:
        DamagedError: it does not say what it is.
    """
    note, wish = boards.store.done("training", id_), boards.wish(id_)
    if note is None or not boards.readable or wish.everything:
        return None
    training, have = boards.store.training(id_), pieces(note["files"])
    steps = training.checkpoint_steps()
    keep: set[str] = set()
    made = []
    if wish.last:
        keep.add(checkpoint(steps[-1]))
    for averaging in wish.reads:
        part = averaging_part(averaging)
        itself = kept_itself(part, averaging, steps, have) if part else None
        keep |= made_of(averaging, training) if itself is None else {itself}
    for averaging, step in wish.candidates:
        of, itself = made_of(averaging, training, step), candidate(averaging, step)
        if len(of) < 2:
            keep |= of
        elif itself in have:
            keep.add(itself)
        elif averaging_part(averaging) is None or not of <= have:
            keep |= of
        elif of <= keep:  # they stay anyway
            continue
        else:
            made.append((averaging, step))
    if "initial" not in note and keep & have:
        keep.add(INITIAL)
    files = tuple(sorted(file(name) for name in have - keep))
    return Excess(id_, files, sum(note["files"][name][0] for name in files), tuple(made)) if files else None


def let_go(boards: Boards, id_: str, stored: Callable[[TrainingSpec], StoredTrajectory]) -> int:
    """Remove what a training has and no board wants; how many bytes.

    The seal says so before a file is gone, so a process that is killed meanwhile leaves the training whole.

    Args:
        boards: Of the store.
        id_: The training.
        stored: Reads a finished training, where a candidate is to be made of its pieces.
    """
    store = boards.store
    folder = store.folder("training", id_)
    try:
        if excess(boards, id_) is None and not _strangers(folder):
            return 0
        with store.owned("training", id_):
            note = sealed(folder)
            if note is None:
                return 0
            over = excess(boards, id_)
            if over is not None:
                for averaging, step in over.made:
                    _make(averaging, step, stored(store.training(id_)))
                    name = file(candidate(averaging, step))
                    note["files"][name] = described(folder / name)
                (folder / MIDWAY).unlink(missing_ok=True)  # it lists files that go
                kept = {name: about for name, about in note["files"].items() if name not in over.files}
                write_sealed(folder / DONE, note | {"files": kept})
            for path in _strangers(folder):
                path.unlink()
            return over.bytes if over else 0
    except BusyError:
        return 0  # who works on it lets go of the rest
    except DamagedError as error:
        store.say(error)
    except DiskError:
        raise
    except DGBenchError as error:
        log.warning("all weights of training %s stay: %s", id_, error)
    return 0


def _strangers(folder: Path) -> list[Path]:
    """Weights that the seal does not list: a process was killed before it removed them."""
    note = sealed(folder)
    if note is None or (folder / MIDWAY).exists():
        return []
    there = (folder / "weights").glob("*.safetensors")
    return [path for path in there if path.relative_to(folder).as_posix() not in note["files"]]


def _make(averaging: Spec, step: int, trajectory: StoredTrajectory) -> None:
    """Keep a candidate itself: what moves of it."""
    part = averaging_part(averaging)
    assert part is not None
    moving = trajectory.moving(min(part.reads(trajectory.steps, step))).keys()
    state = part.candidate(trajectory, step)
    save(trajectory.folder / file(candidate(averaging, step)), {name: state[name] for name in moving})
