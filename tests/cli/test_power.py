"""``dgbench power``, and what ``dgbench run`` says of rounds that cannot be, as a user asks for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.rooms import Room
from comparing.called import within
from submissions.boards import write_board

import dgbench


def test_it_says_what_the_function_says_of_a_board_that_comes_with_results(emoji: str, tmp_path: Path) -> None:
    done = within("power", emoji, "-a", "erm", "-a", "pego", "--store", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["comparisons"]
    (known,) = dgbench.power(emoji, ["erm", "pego"], store=tmp_path)
    assert known.board is not None
    assert known.alone is not None
    assert (found["first"], found["second"], found["trials"]) == ("erm", "pego", known.has)
    assert found["difference"] == pytest.approx(known.difference.mean)
    assert found["board"]["trials"] == known.board.trials
    assert found["alone"]["smallest"] == pytest.approx(known.alone.smallest)


def test_it_says_it_of_a_store_in_words_and_which_algorithm_is_not_there(room: Room) -> None:
    shown = within("power", room.board, "-a", "erm", "-a", "sam", "--store", room.store)
    assert shown.returncode == 0, shown.stderr
    assert "ERM – SAM" in shown.stdout
    unknown = within("power", room.board, "-a", "erm", "-a", "irm", "--store", room.store)
    assert unknown.returncode == 2
    assert "irm" in unknown.stderr


def test_rounds_without_rules_and_a_budget_of_nothing_are_refused_with_the_remedy(tmp_path: Path) -> None:
    board = write_board(tmp_path / "small", "erm")
    budget = within("run", board, "--budget", "1", "--store", tmp_path / "store")
    assert (budget.returncode, budget.stdout) == (2, "")
    assert "add --until separated" in budget.stderr
    until = within("run", board, "--until", "separated", "--store", tmp_path / "store")
    assert (until.returncode, until.stdout) == (2, "")
    assert "'looks = [3, 6]' in a copy of its board.toml, --looks 3 --looks 6 here" in until.stderr
    assert not (tmp_path / "store").exists()
