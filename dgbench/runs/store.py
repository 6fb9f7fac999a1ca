"""The store: finished work by identity, in files that are whole or absent.

    store/
      trainings/<id>/   spec.json  history.parquet  weights/*.safetensors  state/ (to resume)  done.json
      runs/<id>/        spec.json  predictions.parquet  result.json
      features/<id>/    spec.json  features.npy  done.json   (of frozen backbones)
      boards/<name>/    <id>.json   (which runs make up the board)

A piece of work is finished when its last file exists: ``done.json`` or ``result.json``. No pickle is read or written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from dgbench.core.cards import BoardCard
from dgbench.core.errors import StoreError
from dgbench.core.files import read_json, write_json
from dgbench.core.recipe import compose
from dgbench.core.spec import Spec, identity

Kind = Literal["training", "run", "features"]
_FOLDER: dict[Kind, str] = {"training": "trainings", "run": "runs", "features": "features"}
_LAST: dict[Kind, str] = {"training": "done.json", "run": "result.json", "features": "done.json"}


def rules_identity(board: BoardCard) -> str:
    """The identity of a board's rules."""
    return identity(board.model_dump(mode="json"))


class BusyError(StoreError):
    """Another process works on this piece at the moment."""


class Store:
    """One folder of finished work; any number of processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, kind: Kind, id_: str) -> Path:
        """Where a piece of work lies."""
        return self.root / _FOLDER[kind] / id_

    def finished(self, kind: Kind, id_: str) -> bool:
        """Whether a piece of work is whole."""
        return (self.folder(kind, id_) / _LAST[kind]).is_file()

    @contextmanager
    def claim(self, kind: Kind, spec: Spec) -> Iterator[Path | None]:
        """The folder of a piece of work for this process alone, or None where it is finished already.

        Raises:
            BusyError: another process has it.
        """
        id_ = identity(spec)
        if self.finished(kind, id_):
            yield None
            return
        lock = self.root / "locks" / f"{kind}-{id_}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock, timeout=0):
                if self.finished(kind, id_):
                    yield None
                    return
                folder = self.folder(kind, id_)
                write_json(folder / "spec.json", spec)
                yield folder
        except Timeout as error:
            raise BusyError(f"{kind} {id_} is being done by another process") from error

    def read(self, kind: Kind, id_: str, name: str) -> Any:
        """A JSON file of a finished piece of work.

        Raises:
            StoreError: it is not finished, or the file cannot be read.
        """
        path = self.folder(kind, id_) / name
        if not self.finished(kind, id_):
            raise StoreError(f"{kind} {id_} is not finished in {self.root}; 'dgbench run' does what is missing")
        try:
            return read_json(path)
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} cannot be read ({error}); remove its folder and run again") from error

    def index(self, board: BoardCard) -> Path:
        """Where the list of a board's runs lies. Rules or cards that ask for other runs have another list."""
        asked = board.model_dump(mode="json", exclude={"title", "summary", "criterion"})
        asked["recipes"] = [compose(expression).described() for expression in board.algorithms]
        return self.root / "boards" / board.name / f"{identity(asked)}.json"
