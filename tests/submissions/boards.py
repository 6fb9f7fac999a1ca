"""Boards of one's own in a file, small enough for tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from dgbench.api.boards import rules
from dgbench.core.cards import CaseRules, SplitRules
from dgbench.data.disk.look.toml import as_toml
from dgbench.runs.deterministic import as_worker
from in_process import carry_out
from once import once
from small import FEW, small_board


def write_board(
    folder: Path, *algorithms: str, targets: tuple[str, ...] = ("print", "dot-matrix"), split: SplitRules = FEW
) -> str:
    """Write ``board.toml``: some targets of the digits, one trial, four steps; its path."""
    cases = {"digits": CaseRules(targets=targets)}
    small = small_board(*algorithms, split=split).model_copy(update={"cases": cases, "name": folder.name})
    folder.mkdir(parents=True)
    path = folder / "board.toml"
    path.write_text(as_toml(_filled(small.model_dump(mode="json"))))
    return str(path)


def run_board(room: Path, *algorithms: str, split: SplitRules = FEW) -> str:
    """Write a board as ``small/board.toml``, and its runs into ``store``; its path.

    ERM's trainings, and T3A's runs of them, are done once in a session.
    """

    def make(folder: Path) -> None:
        carry_out(rules(write_board(folder / "small", "erm", "t3a")), folder / "store")

    with as_worker("cpu"):
        done = once("erm-and-t3a", make) / "store"
        shutil.copytree(done, room / "store", ignore=shutil.ignore_patterns("boards", "locks"))
        board = write_board(room / "small", *algorithms, split=split)
        carry_out(rules(board), room / "store")
    return board


def _filled(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _filled(value) for key, value in content.items() if value is not None and value != {}}
    return content
