from __future__ import annotations

import shutil

import pytest
from cli.rooms import Room
from scripts_loaded import load_script
from submissions.boards import write_board

from dgbench.api.boards import rules
from dgbench.core.paths import shipped
from dgbench.runs.store import Store


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("room")
    board = write_board(folder / "small", "erm", "sam", "t3a")
    load_script("measure_store").fill(Store(folder / "store"), rules(board), examples=40)
    return Room(board, folder / "store")


@pytest.fixture(scope="session")
def emoji(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The board *emoji* with three of the submissions that it comes with: whatever looks at it reads all of them."""

    def others(place: str, names: list[str]) -> list[str]:
        return [name for name in names if "@" in name and not name.startswith(("erm@", "sam@", "pego@"))]

    folder = shutil.copytree(shipped("leaderboards") / "emoji", tmp_path_factory.mktemp("own") / "emoji", ignore=others)
    return str(folder / "board.toml")
