"""The notebook of the documentation runs from top to bottom, and is committed with what it gives."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from unittest import mock

import nbformat
import pytest
from nursery import python
from scripts_loaded import load_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("run_notebook")


@pytest.fixture(scope="module")
def committed(script: ModuleType) -> nbformat.NotebookNode:
    return nbformat.read(script.NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(
    script: ModuleType, committed: nbformat.NotebookNode, tmp_path_factory: pytest.TempPathFactory
) -> nbformat.NotebookNode:
    folder = tmp_path_factory.mktemp("notebook")
    with mock.patch.object(sys, "executable", python()):  # which is the kernel
        found = script.executed(committed, folder)
    assert {path.name for path in folder.iterdir()} == {"store", "tiny-board"}
    return found


def shape(notebook: nbformat.NotebookNode) -> list[list[tuple[str, list[str]]]]:
    """What kinds of outputs each cell has."""
    return [
        [(output.output_type, sorted(output.get("data", {}))) for output in cell.get("outputs", ())]
        for cell in notebook.cells
    ]


def test_what_is_committed_is_what_it_gives(committed: nbformat.NotebookNode, executed: nbformat.NotebookNode) -> None:
    """Numbers may differ in their last digits on other processors; kinds of outputs, words and counts do not."""
    assert shape(executed) == shape(committed), "run python scripts/run_notebook.py"
    assert [cell.source for cell in executed.cells] == [cell.source for cell in committed.cells]

    def words(notebook: nbformat.NotebookNode) -> list[list[str]]:
        """Sorted: who is first may hang on a last digit. What was to be done depends on what the cache held."""
        given = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        outputs = [output for output in given if output.output_type == "execute_result"]
        return [sorted(re.findall(r"[a-z_]{3,}", output.data["text/plain"])) for output in outputs]

    assert words(executed) == words(committed)


def test_what_is_made_by_hand_is_what_the_board_says(executed: nbformat.NotebookNode) -> None:
    printed = [
        output.text for cell in executed.cells for output in cell.get("outputs", ()) if output.output_type == "stream"
    ]
    by_hand, board = re.findall(r"([+-]\d+\.\d+) points", "".join(printed))
    assert by_hand == board


def test_nothing_of_a_machine_is_committed(script: ModuleType) -> None:
    text = script.NOTEBOOK.read_text(encoding="utf-8")
    assert not re.search(r"/(?:tmp|home|root|work|Users|usr)/|stderr|Warning|in \d+:\d\d", text)
    assert len(text) < 60_000
