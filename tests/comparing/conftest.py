"""One store for all tests of this folder: three algorithms on two targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from submissions.boards import run_board

from small import WHOLE


@dataclass(frozen=True)
class Room:
    """Where a board of one's own lies, and the store that holds its runs."""

    folder: Path
    board: str
    store: Path


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("compared")
    return Room(folder, run_board(folder, "erm", "t3a", "sam", split=WHOLE), folder / "store")
