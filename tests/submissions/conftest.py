from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from submissions.boards import run_board
from submissions.synthetic import submit, toy_board

from dgbench.core.cards import BoardCard
from dgbench.submissions.check import Checked, check
from dgbench.submissions.verdicts import Outcome


@pytest.fixture(scope="session")
def board() -> BoardCard:
    return toy_board()


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory, board: BoardCard) -> Path:
    """A good submission that no test changes."""
    return submit(tmp_path_factory.mktemp("good"), board)


@pytest.fixture
def good(tmp_path: Path, kept: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(kept, tmp_path / kept.name))


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of one's own in a file, ``small/board.toml``, its runs of ERM and T3A in ``store``."""
    room = tmp_path_factory.mktemp("round")
    run_board(room, "erm", "t3a")
    return room


@pytest.fixture
def verdicts(board: BoardCard) -> Callable[[Path], dict[str, Outcome]]:
    """The outcome of each check that did not pass."""

    def outcomes(folder: Path) -> dict[str, Outcome]:
        return outcomes_of(check(folder, board))

    return outcomes


def outcomes_of(checked: Checked) -> dict[str, Outcome]:
    return {v.code: v.outcome for v in checked.verdicts if v.outcome not in ("passed", "not looked at")}
