"""The list of a board's runs as columns says what the list says, and is read again when another lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dgbench.core.errors import StoreError
from dgbench.core.seals import read_sealed, write_sealed
from dgbench.core.spec import canonical
from dgbench.runs import roll
from dgbench.runs.remembered import beside
from dgbench.runs.roll import ENTRIES, Roll
from dgbench.runs.store import Store
from drawn_stores import drawing
from small import small_board

RULES = small_board("erm", "sam", "lp_ft")

drawn, store = drawing(RULES, examples=2, pool=1)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The lists that are read as JSON."""
    seen: list[Path] = []
    original = Store.read_index

    def counted(store: Store, board: object) -> object:
        seen.append(store.root)
        return original(store, board)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "read_index", counted)
    return seen


def test_columns_say_what_the_list_says_and_it_is_read_once(store: Store, read: list[Path]) -> None:
    said = store.read_index(RULES)
    for _ in range(3):
        found = Roll.at(store, RULES)
        entries = [
            entry | {"hyperparameters": canonical(entry["hyperparameters"])}
            for entry in ({name: entry[name] for name in ENTRIES} for entry in said["entries"])
        ]
        assert found.entries.to_dicts() == entries
        assert found.rest == {name: value for name, value in said.items() if name not in ("entries", "judges")}
        assert set(found.runs()) == {entry["run"] for entry in said["entries"]}
    assert len(read) == 2


def test_a_list_that_was_written_again_is_read_again(store: Store, read: list[Path]) -> None:
    Roll.at(store, RULES)
    path, was = store.index(RULES), store.index(RULES).stat()
    said = read_sealed(path)
    write_sealed(path, said | {"entries": said["entries"][1:]})
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert Roll.at(store, RULES).entries.height == len(said["entries"]) - 1
    assert len(read) == 2
    path.write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        Roll.at(store, RULES)


def test_what_was_noted_by_another_version_is_read_again(
    store: Store, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    Roll.at(store, RULES)
    monkeypatch.setattr(roll, "VERSION", "another")
    Roll.at(store, RULES)
    folder = beside(store.index(RULES), "list") / "entries.parquet"
    content = bytearray(folder.read_bytes())
    content[len(content) // 2] ^= 1
    folder.write_bytes(content)
    Roll.at(store, RULES)
    assert len(read) == 3
