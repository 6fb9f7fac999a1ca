"""One store for all tests of this folder: three algorithms on two targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from submissions.boards import run_board

from dgbench.core.cards import SplitRules


@dataclass(frozen=True)
class Room:
    """Where a board of one's own lies, and the store that holds its runs."""

    folder: Path
    board: str
    store: Path


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("compared")
    split = SplitRules(validation=0.05, test=0.3)  # of so many images ERM and T3A tell some apart
    return Room(folder, run_board(folder, "erm", "t3a", "sam", split=split), folder / "store")
