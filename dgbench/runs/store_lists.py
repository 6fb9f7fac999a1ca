"""The lists of boards' runs, and the notes of what failed, as a store keeps them.

store/boards/<name>/<id>.json      which runs make up the board
store/failures/<id>.json           why a training, or a run of it, failed when it was last tried
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dgbench.core.cards import BoardCard, Keep
from dgbench.core.disk import writing
from dgbench.core.errors import StoreError
from dgbench.core.files import as_json, read_json
from dgbench.core.judges import JUDGES
from dgbench.core.locks import alone
from dgbench.core.recipe import compose
from dgbench.core.results import LONGEST, Result
from dgbench.core.seals import read_sealed, with_digest
from dgbench.core.spec import Spec, as_id, identity
from dgbench.runs.copies import write
from dgbench.runs.listed import INDEX, in_words, index_damage, listed
from dgbench.runs.sharing import Sharing

log = logging.getLogger(__name__)


class Lists:
    """What a store keeps beside finished work.

    Args:
        root: Its folder.
        sharing: What is owed to other machines.
    """

    def __init__(self, root: Path, sharing: Sharing) -> None:
        self.root = root
        self.sharing = sharing

    @property
    def place(self) -> str:
        """By what another process opens it."""
        return self.sharing.url or str(self.root)

    def _set_aside(self, path: Path, name: str) -> Path:
        parent = self.root / "damaged"
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while (aside := parent / f"{name}-{number}{path.suffix}").exists() or self.sharing.is_aside(aside.name):
            number += 1
        path.rename(aside)
        log.warning("%s is set aside as %s", path, aside)
        return aside

    def failure_note(self, training: str) -> Path:
        """Where it is kept why a training, or a run that comes from it, failed."""
        return self.root / "failures" / f"{as_id(training)}.json"

    def note_failure(self, training: str, content: Spec | None) -> None:
        """Note why a training, or a run that comes from it, failed; None where it did not."""
        self._note(self.failure_note(training), content)

    def _note(self, path: Path, content: Spec | None) -> None:
        made = None if content is None else as_json(content).encode()
        self.sharing.put_note(path, made)
        if made is None:
            path.unlink(missing_ok=True)
        else:
            write(path, made)

    def failure(self, training: str) -> Result | None:
        """How a training, or a run that comes from it, ended when it was last tried; None where it did not fail.

        Raises:
            StoreError: the note of it cannot be read.
        """
        self.sharing.fetch_notes("failures")
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
        self.put_index(path, content)

    def put_index(self, path: Path, content: Spec | None) -> None:
        """Keep the list of a board's runs where it lies; None takes it away."""
        self._note(path, None if content is None else with_digest(content))

    def read_index(self, board: BoardCard) -> Spec:
        """The list of a board's runs.

        Raises:
            StoreError: there is none, or it is not what was written, or not by this version of dgbench.
        """
        self.sharing.fetch_notes("boards")
        path = self.index(board)
        try:
            content = listed(read_sealed(path))
        except FileNotFoundError:
            asks = f" --criterion {board.criterion}" if board.criterion in JUDGES else ""
            raise StoreError(
                f"the store {self.place} holds nothing of '{board.name}' by these rules; "
                f"'dgbench run {board.name}{asks}' fills it"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{in_words(path, error)}; 'dgbench run' sets it aside and writes it again") from error
        if content["schema"] != INDEX:
            raise StoreError(
                f"{path} was written by another version of dgbench ({content['schema']}; this one reads {INDEX}); "
                "'dgbench run' writes it again"
            )
        return content

    def keep(self, board: BoardCard, read: Callable[[], Spec] | None = None) -> Keep:
        """Which weights of a board stay; ``read`` may get what the list of its runs says in a faster way."""
        if board.keep is None:
            with suppress(StoreError):
                noted: Keep = (read() if read else self.read_index(board))["keep"]
                return noted
        return board.keep or "chosen"

    def mend_index(self, path: Path) -> Path | None:
        """Set the list of a board's runs aside if it is damaged; where it lies then."""
        name = f"board-{path.parent.name}-{path.stem}"
        with writing(self.root), alone(self.root / "locks" / f"{name}.lock") as mine:
            damage = index_damage(path) if mine else None
            if damage is None:
                return None
            log.warning("%s", damage)
            self.sharing.put_note(path, None)
            return self._set_aside(path, name)

    def indices(self) -> list[Path]:
        """The lists of all boards' runs."""
        self.sharing.fetch_notes("boards")
        return sorted(self.root.glob("boards/*/*.json"))
