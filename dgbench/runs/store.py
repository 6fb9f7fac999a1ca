"""The store: finished work by identity, in files that are whole or absent.

    store/
      trainings/<id>/   spec.json  history.parquet  weights/*.safetensors  done.json  (state/, to resume, meanwhile)
      runs/<id>/        spec.json  predictions.parquet  result.json  done.json
      features/<id>/    spec.json  features.npy  done.json   (of frozen backbones)
      boards/<name>/    <id>.json   (which runs make up the board)   <id>/known/   (what was read of them)
      failures/         <id of a training>.json   (why it, or a run of it, failed when it was last tried)
      damaged/          pieces of work that were not what was written
      locks/            of what is being done
      .clock            when features were last used

A piece of work is finished when its seal is there, ``done.json``, which is written last and lists every file with its
size and SHA-256. Whoever asks for a piece has the sizes compared; whoever reads a file of it has its content hashed. A
piece that is damaged is set aside, never removed, and counts as not done. No pickle is read or written.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, get_args

from dgbench.core.cards import BoardCard, Keep
from dgbench.core.errors import DamagedError, StoreError
from dgbench.core.files import read_json, workshops, write_json
from dgbench.core.judges import JUDGES
from dgbench.core.locks import alone, clear
from dgbench.core.paths import store_root
from dgbench.core.recipe import compose
from dgbench.core.results import LONGEST, Result
from dgbench.core.seals import MIDWAY, checked, read_sealed, sealed, write_sealed
from dgbench.core.spec import Spec, identity
from dgbench.train.spec import TrainingSpec

Kind = Literal["training", "run", "features"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_FOLDER: dict[Kind, str] = {"training": "trainings", "run": "runs", "features": "features"}
INDEX = "dgbench.index/4"
"""Of the list of a board's runs; the number is raised whenever that list says more."""

log = logging.getLogger(__name__)


class BusyError(StoreError):
    """Another process works on this piece at the moment."""


class Store:
    """One folder of finished work; any number of processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._said: set[str] = set()

    @classmethod
    def at(cls, root: Path | None = None) -> Store:
        """The store in a folder; by default in ``$DGBENCH_STORE``, else in ``store/`` of the working directory."""
        return cls(root or store_root())

    def folder(self, kind: Kind, id_: str) -> Path:
        """Where a piece of work lies."""
        return self.root / _FOLDER[kind] / id_

    def pieces(self, kind: Kind) -> list[str]:
        """The ids of all pieces of a kind, finished or not."""
        folder = self.root / _FOLDER[kind]
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))

    def lock(self, kind: Kind, id_: str) -> Path:
        """Held by who does a piece of work."""
        return self.root / "locks" / f"{kind}-{id_}.lock"

    def done(self, kind: Kind, id_: str) -> Spec | None:
        """What a finished piece of work notes about itself; None where it is not finished, or damaged, which is said.

        Its files are looked at, not read.
        """
        try:
            return sealed(self.folder(kind, id_))
        except DamagedError as error:
            self.say(error)
            return None

    def finished(self, kind: Kind, id_: str) -> bool:
        """Whether a piece of work is whole, as :meth:`done` sees it."""
        return self.done(kind, id_) is not None

    def file(self, kind: Kind, id_: str, name: str) -> Path:
        """The path of a file of a finished piece of work, whose content is what was written.

        Raises:
            DamagedError: it is not.
            StoreError: the piece is not finished.
        """
        note = sealed(self.folder(kind, id_))
        if note is None:
            raise StoreError(f"{kind} {id_} is not finished in {self.root}; 'dgbench run' does what is missing")
        return checked(self.folder(kind, id_), name, note["files"])

    def read(self, kind: Kind, id_: str, name: str) -> Any:
        """A JSON file of a finished piece of work, as :meth:`file` finds it."""
        return json.loads(self.file(kind, id_, name).read_text(encoding="utf-8"))

    def training(self, id_: str) -> TrainingSpec:
        """What a training is, finished or not.

        Raises:
            DamagedError: it is not there, or does not say what it is.
        """
        folder = self.folder("training", id_)
        try:
            return TrainingSpec.read(read_json(folder / "spec.json"))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DamagedError(folder, "spec.json", f"cannot be read ({error})") from error

    def say(self, error: DamagedError) -> None:
        """Warn of damage, once."""
        if str(error) not in self._said:
            self._said.add(str(error))
            log.warning("%s", error)

    def intact(self, kind: Kind, id_: str) -> bool:
        """Whether a piece of work is finished and every file is what was written, to the last byte.

        One that is damaged is set aside.
        """
        if not self.finished(kind, id_):
            return False
        if self.damage(kind, id_) is None:
            return True
        with suppress(BusyError):  # another process found it, too
            self.mend(kind, id_)
        return False

    @contextmanager
    def claim(
        self, kind: Kind, spec: Spec, enough: Callable[[Spec], bool] = lambda note: True
    ) -> Iterator[Path | None]:
        """The folder of a piece of work for this process alone, or None where it is finished already.

        The folder holds what an earlier attempt left, if that is whole; what is damaged was set aside.

        Args:
            kind, spec: Which piece.
            enough: Whether finished work, by its note, holds all that is wanted; else it is to be done again.

        Raises:
            BusyError: another process has it.
        """
        id_ = identity(spec)

        def over() -> bool:
            note = self.done(kind, id_)
            return note is not None and enough(note)

        if over():
            yield None
            return
        with self.owned(kind, id_):
            if over():
                yield None
                return
            self._mend(kind, id_)
            folder = self.folder(kind, id_)
            if not (folder / "spec.json").is_file():
                write_json(folder / "spec.json", spec)
            yield folder

    def damage(self, kind: Kind, id_: str) -> DamagedError | None:
        """What is wrong with a piece of work, finished or stopped midway. Every file is hashed."""
        folder = self.folder(kind, id_)
        try:
            for note in (sealed(folder), sealed(folder, MIDWAY)):  # both, while finished work is done again
                for name in note["files"] if note else ():
                    checked(folder, name, note["files"])  # type: ignore[index]
        except DamagedError as error:
            return error
        return None

    def mend(self, kind: Kind, id_: str) -> Path | None:
        """Set a piece of work aside if it is damaged; where it lies then.

        Raises:
            BusyError: another process has it, perhaps to do it again.
        """
        with self.owned(kind, id_):
            return self._mend(kind, id_)

    def mend_after(self, error: DamagedError) -> tuple[Kind, str]:
        """Set aside the piece of work in which damage was found, if it is still there; which one it is.

        Raises:
            BusyError: another process has it, perhaps to do it again.
        """
        kind = next(kind for kind in KINDS if _FOLDER[kind] == error.folder.parent.name)
        self.mend(kind, error.folder.name)
        return kind, error.folder.name

    def _mend(self, kind: Kind, id_: str) -> Path | None:
        damage = self.damage(kind, id_)
        if damage is None:
            return None
        self.say(damage)
        return self._set_aside(self.folder(kind, id_), f"{kind}-{id_}")

    def _set_aside(self, path: Path, name: str) -> Path:
        parent = self.root / "damaged"
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while (aside := parent / f"{name}-{number}{path.suffix}").exists():
            number += 1
        path.rename(aside)
        log.warning("%s is set aside as %s", path, aside)
        return aside

    @contextmanager
    def owned(self, kind: Kind, id_: str) -> Iterator[None]:
        """No other process works on this piece during the block.

        Raises:
            BusyError: another process has it.
        """
        with alone(self.lock(kind, id_)) as mine:
            if not mine:
                raise BusyError(f"{kind} {id_} is being done by another process")
            yield

    def failure_note(self, training: str) -> Path:
        """Where it is kept why a training, or a run that comes from it, failed."""
        return self.root / "failures" / f"{training}.json"

    def failure(self, training: str) -> Result | None:
        """How a training, or a run that comes from it, ended when it was last tried; None where it did not fail.

        Raises:
            StoreError: the note of it cannot be read.
        """
        path = self.failure_note(training)
        if not path.is_file():
            return None
        try:
            noted = read_json(path)
            cause = str(noted["error"])[:LONGEST] or "nothing was said"
            return Result(status=noted.get("status", "failed"), cause=cause, last_step=noted.get("last_step"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"{path} cannot be read ({error!r}); remove it and run again") from error

    def index(self, board: BoardCard) -> Path:
        """Where the list of a board's runs lies. Rules or cards that ask for other runs have another list.

        A criterion asks for some if it has judges of its own.
        """
        asked = board.described(without={"title", "summary", "criterion", "keep", "headline"})
        asked["recipes"] = [compose(expression).described() for expression in board.algorithms]
        asked |= {"judges": kind} if (kind := JUDGES.get(board.criterion)) else {}
        return self.root / "boards" / board.name / f"{identity(asked)}.json"

    def write_index(self, board: BoardCard, content: Spec) -> None:
        """Keep the list of a board's runs; one that is damaged is set aside."""
        path = self.index(board)
        self.mend_index(path)
        write_sealed(path, content)

    def read_index(self, board: BoardCard) -> Spec:
        """The list of a board's runs.

        Raises:
            StoreError: there is none, or it is not what was written, or not by this version of dgbench.
        """
        path = self.index(board)
        try:
            content = read_sealed(path)
        except FileNotFoundError:
            asks = f" --criterion {board.criterion}" if board.criterion in JUDGES else ""
            raise StoreError(
                f"the store {self.root} holds nothing of '{board.name}' by these rules; "
                f"'dgbench run {board.name}{asks}' fills it"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{_damaged(path, error)}; 'dgbench run' sets it aside and writes it again") from error
        if content["schema"] != INDEX:
            raise StoreError(
                f"{path} was written by another version of dgbench ({content['schema']}; this one reads {INDEX}); "
                "'dgbench run' writes it again"
            )
        return content

    def keep(self, board: BoardCard) -> Keep:
        """Which weights of a board stay."""
        if board.keep is None:
            with suppress(StoreError):
                noted: Keep = self.read_index(board)["keep"]
                return noted
        return board.keep or "chosen"

    def mend_index(self, path: Path) -> Path | None:
        """Set the list of a board's runs aside if it is damaged; where it lies then."""
        name = f"board-{path.parent.name}-{path.stem}"
        with alone(self.root / "locks" / f"{name}.lock") as mine:
            damage = index_damage(path) if mine else None
            if damage is None:
                return None
            log.warning("%s", damage)
            return self._set_aside(path, name)

    def indices(self) -> list[Path]:
        """The lists of all boards' runs."""
        return sorted(self.root.glob("boards/*/*.json"))

    def clear(self) -> int:
        """Remove the locks of processes that were killed; how many. Those of processes at work stay."""
        cleared = 0
        for path in (self.root / "locks").glob("*.lock"):
            with alone(path) as mine:
                cleared += mine
        return cleared

    def clear_all(self) -> int:
        """Remove everything that killed processes left behind, in every folder; how many things."""
        cleared = self.clear()
        for folder, _, _ in os.walk(self.root):
            cleared += sum(map(clear, workshops(Path(folder))))
        return cleared


def index_damage(path: Path) -> str | None:
    """What is wrong with the list of a board's runs."""
    try:
        with suppress(FileNotFoundError):
            read_sealed(path)
    except (OSError, ValueError) as error:
        return _damaged(path, error)
    return None


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is damaged ({error})"
