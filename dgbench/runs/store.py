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

A store may be shared with other machines (:mod:`dgbench.runs.sharing`); the folder is a copy of it then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, get_args

from dgbench.core.disk import writing
from dgbench.core.errors import DamagedError, StoreError
from dgbench.core.files import clear_below, read_json, write_json
from dgbench.core.locks import alone
from dgbench.core.paths import is_address, store_place
from dgbench.core.seals import MIDWAY, checked, sealed
from dgbench.core.spec import Spec, as_id, identity, is_id
from dgbench.runs.copies import FOLDERS, SPEC, lock_of
from dgbench.runs.sharing import Sharing, shared_at
from dgbench.runs.store_lists import Lists
from dgbench.train.spec import TrainingSpec

Kind = Literal["training", "run", "features"]
KINDS: tuple[Kind, ...] = get_args(Kind)

log = logging.getLogger(__name__)


class BusyError(StoreError):
    """Another process works on this piece at the moment."""


class Store(Lists):
    """One folder of finished work; any number of processes may share it, and other machines.

    Args:
        root: The folder.
        sharing: What is owed to other machines; by default nothing.
    """

    def __init__(self, root: Path, sharing: Sharing | None = None) -> None:
        super().__init__(root, sharing or Sharing())
        self._said: set[str] = set()

    @classmethod
    def at(cls, place: Path | str | None = None) -> Store:
        """The store in a folder, or at an address; by default ``$DGBENCH_STORE``, else ``store/`` where one is now.

        It stays that folder whatever the working directory becomes, for what is read of it later.

        Raises:
            StoreError: at an address is something else, or it cannot be read. Where nothing is nothing is made, until
                something is kept there.
        """
        place = place or store_place()
        if not is_address(place):
            return cls(Path(place).absolute())
        sharing = shared_at(str(place))
        sharing.fetch_notes("boards")
        return cls(sharing.copy.root, sharing)

    def folder(self, kind: Kind, id_: str) -> Path:
        """Where a piece of work lies; raises StoreError where the id is none, as one that leads elsewhere."""
        return self.pieces_in(kind) / as_id(id_)

    def pieces_in(self, kind: Kind) -> Path:
        """Where all pieces of a kind lie."""
        return self.root / FOLDERS[kind]

    def pieces(self, kind: Kind) -> list[str]:
        """The ids of all pieces of a kind, finished or not."""
        self.sharing.look(kind)
        folder = self.pieces_in(kind)
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if is_id(path.name) and path.is_dir())

    def lock(self, kind: Kind, id_: str) -> Path:
        """Held by who does a piece of work."""
        return lock_of(self.root, kind, as_id(id_))

    def done(self, kind: Kind, id_: str) -> Spec | None:
        """What a finished piece of work notes about itself; None where it is not finished, or damaged, which is said.

        Its files are looked at, not read.
        """
        if not self.sharing.finished(kind, id_):
            return None
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
        note = sealed(self.folder(kind, id_)) if self.sharing.finished(kind, id_) else None
        if note is None:
            raise StoreError(f"{kind} {id_} is not finished in {self.place}; 'dgbench run' does what is missing")
        return checked(self.folder(kind, id_), name, note["files"])

    def read(self, kind: Kind, id_: str, name: str) -> Any:
        """A JSON file of a finished piece of work, as :meth:`file` finds it."""
        try:
            return read_json(self.file(kind, id_, name))
        except (OSError, ValueError) as error:
            raise DamagedError(self.folder(kind, id_), name, f"is damaged ({error})") from error

    def training(self, id_: str) -> TrainingSpec:
        """What a training is, finished or not.

        Raises:
            DamagedError: it is not there, or does not say what it is.
        """
        self.sharing.finished("training", id_)
        folder = self.folder("training", id_)
        try:
            return TrainingSpec.read(read_json(folder / SPEC))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DamagedError(folder, SPEC, f"cannot be read ({error})") from error

    def say(self, error: DamagedError) -> None:
        """Warn of damage, once."""
        if str(error) not in self._said:
            self._said.add(str(error))
            log.warning("%s", error)

    def intact(self, kind: Kind, id_: str) -> bool:
        """Whether a piece of work is finished and every file is what was written, to the last byte.

        One that is damaged is set aside. What lies elsewhere is taken at its word here, and read when it is wanted.
        """
        if not self.finished(kind, id_):
            return False
        if self.sharing.url or self.damage(kind, id_) is None:
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
            self.sharing.bring(folder)
            if not _says(folder / SPEC, id_):  # no seal vouches for what was just begun
                write_json(folder / SPEC, spec)
            yield folder

    def damage(self, kind: Kind, id_: str) -> DamagedError | None:
        """What is wrong with a piece of work, finished or stopped midway. Every file is hashed."""
        folder = self.folder(kind, id_)
        try:
            if (note := sealed(folder)) is not None:
                for name in note["files"]:
                    self.sharing.check(kind, folder, name, note["files"])
            if (note := sealed(folder, MIDWAY)) is not None:  # both, while finished work is done again
                for name in note["files"]:
                    checked(folder, name, note["files"])
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
        kind = next(kind for kind in KINDS if FOLDERS[kind] == error.folder.parent.name)
        self.mend(kind, error.folder.name)
        return kind, error.folder.name

    def _mend(self, kind: Kind, id_: str) -> Path | None:
        damage = self.damage(kind, id_)
        if damage is None:
            return None
        self.say(damage)
        aside = self._set_aside(self.folder(kind, id_), f"{kind}-{id_}")
        self.sharing.set_aside(kind, id_, aside.name)
        return aside

    @contextmanager
    def owned(self, kind: Kind, id_: str) -> Iterator[None]:
        """No other process works on this piece during the block; what a killed one left half-written is cleared away.

        Raises:
            BusyError: another process has it.
        """
        with writing(self.root), alone(self.lock(kind, id_)) as mine:
            if not mine:
                raise BusyError(f"{kind} {id_} is being done by another process")
            with self.sharing.held(kind, id_) as ours:
                if not ours:
                    raise BusyError(f"{kind} {id_} is being done on another machine")
                clear_below(self.folder(kind, id_))
                yield

    def clear(self) -> int:
        """Remove what killed processes left where they were at work, which their locks say; how many things.

        That is the locks, and what is half-written in the pieces. Those of processes at work stay.
        """
        cleared = 0
        for path in (self.root / "locks").glob("*.lock"):
            with writing(self.root), alone(path) as mine:
                cleared += mine
                for kind in KINDS if mine else ():
                    if path.stem.startswith(f"{kind}-"):
                        cleared += clear_below(self.pieces_in(kind) / path.stem.removeprefix(f"{kind}-"))
        return cleared

    def clear_all(self) -> int:
        """Remove everything that killed processes left behind, in every folder; how many things."""
        return self.clear() + clear_below(self.root)


def _says(path: Path, id_: str) -> bool:
    """Whether a file is the spec of a piece of work, whole."""
    try:
        return identity(read_json(path)) == id_
    except (OSError, ValueError):
        return False
