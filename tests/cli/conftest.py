from __future__ import annotations

import pytest
from cli.rooms import Room
from scripts_loaded import load_script
from submissions.boards import write_board

from dgbench.api.boards import rules
from dgbench.runs.store import Store


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("room")
    board = write_board(folder / "small", "erm", "sam", "t3a")
    load_script("measure_store").fill(Store(folder / "store"), rules(board), examples=40)
    return Room(board, folder / "store")
