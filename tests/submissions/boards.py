"""Boards of one's own in a file, small enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dgbench.core.cards import CaseRules
from dgbench.data.disk.look.toml import as_toml
from small import small_board


def write_board(folder: Path, *algorithms: str) -> str:
    """Write ``board.toml``: two targets of the digits, one trial, four steps; its path."""
    cases = {"digits": CaseRules(targets=("print", "dot-matrix"))}
    small = small_board(*algorithms).model_copy(update={"cases": cases, "name": folder.name})
    folder.mkdir(parents=True)
    path = folder / "board.toml"
    path.write_text(as_toml(_filled(small.model_dump(mode="json"))))
    return str(path)


def _filled(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _filled(value) for key, value in content.items() if value is not None and value != {}}
    return content
