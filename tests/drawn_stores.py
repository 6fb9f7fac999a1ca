"""Stores that are drawn in place of computed: finished work to every command, within a second."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from scripts_loaded import load_script

from dgbench.core.cards import BoardCard
from dgbench.runs.store import Store


def drawing(rules: BoardCard, **fewer: int) -> tuple[Callable[..., Path], Callable[..., Store]]:
    """Fixtures for a module to call ``drawn`` and ``store``: one that nobody has looked at, and a copy for each test.

    Args:
        rules: Of the board.
        fewer: Examples, and different predictions, as for ``fill`` of ``scripts/measure_store.py``.
    """

    @pytest.fixture(scope="module")
    def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
        root = tmp_path_factory.mktemp("drawn")
        load_script("measure_store").fill(Store(root), rules, **fewer)
        return root

    @pytest.fixture
    def store(drawn: Path, tmp_path: Path) -> Store:
        return Store(shutil.copytree(drawn, tmp_path / "store"))

    return drawn, store
