"""The commands on the page *Submit to a leaderboard* run as they stand there, on a board of few and short trainings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from comparing.called import within
from submissions.boards import write_board

from dgbench.submissions.check import CHECKS

PAGE = (Path(__file__).parents[1] / "docs" / "submit.md").read_text(encoding="utf-8")
BOARD = "quick/board.toml"
"""In place of the board ``quick``: the same questions, fewer of them, and short trainings."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("page")
    write_board(room / "quick", "sam", "erm")  # as on the real board, others are asked for too
    return room


def commands() -> list[list[str]]:
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.partition("#")[0].split() for line in block.splitlines()]
    assert all(words[0] == "dgbench" for words in lines)
    return [words[1:] for words in lines]


def on_own_board(words: list[str]) -> list[str]:
    """The same command for a board with a path."""
    if words[0] == "verify" or words[:2] in (["submit", "check"], ["submit", "add"]):
        return [*words, "--board", BOARD]
    return [BOARD if word == "quick" else word for word in words]


def test_the_commands_of_the_page_run_from_top_to_bottom(room: Path) -> None:
    said = {}
    for words in commands():
        done = within(*on_own_board(words), folder=room)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        said[" ".join(words[:2])] = done.stdout
    assert "sam@1: good; " in said["submit check"]
    assert (room / "quick" / "submissions" / "sam@1" / "submission.json").is_file()
    assert "the same bit for bit" in said["verify out/sam@1"]
    assert list(said) == [
        "run quick",
        "submit make",
        "submit check",
        "submit add",
        "leaderboard quick",
        "verify out/sam@1",
    ]
    assert "SAM (" in said["leaderboard quick"], "its level stands behind its name"


def test_the_page_speaks_of_every_check_and_of_no_other() -> None:
    assert re.findall(r"^\| ([EW]\d\d) \|", PAGE, re.M) == [check.code for check in CHECKS]
