"""One store for all tests of this folder: three algorithms on two targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from submissions.boards import write_board

from dgbench.api.boards import rules
from dgbench.runs.deterministic import as_worker
from in_process import carry_out


@dataclass(frozen=True)
class Room:
    """Where a board of one's own lies, and the store that holds its runs."""

    folder: Path
    board: str
    store: Path


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("compared")
    board = write_board(folder / "small", "erm", "t3a", "sam")
    with as_worker("cpu"):
        carry_out(rules(board), folder / "store")
    return Room(folder, board, folder / "store")
