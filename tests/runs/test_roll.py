"""The list of a board's runs as columns says what the list says, and is read again when another lies there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgbench.core import long_json
from dgbench.core.errors import StoreError
from dgbench.core.files import as_json
from dgbench.core.seals import read_sealed, with_digest, write_sealed
from dgbench.core.spec import Spec, canonical
from dgbench.runs import roll
from dgbench.runs.judged import JUDGES
from dgbench.runs.listed import index_damage, read_in_blocks
from dgbench.runs.remembered import beside
from dgbench.runs.roll import ENTRIES, Roll
from dgbench.runs.store import Store
from drawn_stores import drawing
from small import small_board

RULES = small_board("erm", "sam", "lp_ft")
_OF_JUDGE = ("algorithm", "target", "trial", "draw", "training", "run", "dataset")

drawn, store = drawing(RULES, examples=2, pool=1)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The lists that are read as JSON, a few entries at a time."""
    seen: list[Path] = []

    def counted(path: Path, take: Callable[[str, list[Spec]], None]) -> Spec:
        seen.append(path)
        return read_in_blocks(path, take)

    monkeypatch.setattr(long_json, "AT_ONCE", 5)
    monkeypatch.setattr(roll, "read_in_blocks", counted)
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
        assert found.rest | found.before == {
            name: value for name, value in said.items() if name not in ("entries", "judges")
        }
        ids = {kind: {entry[kind] for entry in said["entries"]} for kind in ("run", "training")}
        assert set(found.pieces.filter(kind="run")["id"]) == ids["run"]
        assert set(found.pieces.filter(kind="training")["id"]) >= ids["training"]
    assert len(said["entries"]) > 5
    assert len(read) == 1


def test_judges_are_columns_as_well(store: Store, read: list[Path]) -> None:
    path, said = store.index(RULES), store.read_index(RULES)
    judges = [
        {name: entry[name] for name in _OF_JUDGE}
        | {"split": "folds", "domains": [entry["domain"]], "views": ["clean"], "averaging": {}}
        for entry in said["entries"]
    ]
    write_sealed(path, said | {"judges": judges})
    found = Roll.at(store, RULES)
    assert found.judges.to_dicts() == [{name: judge[name] for name in JUDGES} for judge in judges]
    assert "judges" not in found.rest


def test_a_list_in_another_order_is_read_once_as_well(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that do not sort names may have written it anew; then it is read whole, and noted like any other."""
    path = store.index(RULES)
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    notes: list[Path] = []
    original = roll.noted

    def counted(store: Store, folder: Path, *rest: Any) -> None:
        notes.append(folder)
        original(store, folder, *rest)

    monkeypatch.setattr(roll, "noted", counted)
    entries = [Roll.at(store, RULES).entries for _ in range(3)]
    assert len(notes) == 1
    assert entries[0].equals(entries[1])
    assert entries[0].equals(entries[2])


def test_a_list_that_was_written_again_is_read_again(store: Store, read: list[Path]) -> None:
    Roll.at(store, RULES)
    path, was = store.index(RULES), store.index(RULES).stat()
    said = read_sealed(path)
    write_sealed(path, said | {"entries": said["entries"][1:]})
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert Roll.at(store, RULES).entries.height == len(said["entries"]) - 1
    assert len(read) == 2


def _cut(text: str) -> str:
    return text[: len(text) // 2]


def _changed(text: str) -> str:
    return text.replace('"trial": 0', '"trial": 1', 1)


def _sealed_again(change: Callable[[Spec], object]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        content = json.loads(text)
        del content["sha256"]
        change(content)
        return as_json(with_digest(content))

    return changed


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _changed,
        _sealed_again(lambda content: content["entries"][7].update(trial=-1)),
        _sealed_again(lambda content: content["entries"][7].pop("run")),
        _sealed_again(lambda content: content.pop("entries")),
        _sealed_again(lambda content: content.update(judges={})),
        _sealed_again(lambda content: content.update(keep="some")),
        _sealed_again(lambda content: content.update(schema="dgbench.index/1")),
    ],
)
def test_what_is_wrong_with_a_list_is_said_as_by_who_reads_it_whole(
    store: Store, read: list[Path], damage: Callable[[str], str]
) -> None:
    path = store.index(RULES)
    path.write_text(damage(path.read_text()))
    with pytest.raises(StoreError) as whole:
        store.read_index(RULES)
    with pytest.raises(StoreError) as columns:
        Roll.at(store, RULES)
    assert str(columns.value) == str(whole.value)
    assert str(path) in str(columns.value)


def test_damage_of_a_list_is_found(store: Store, read: list[Path]) -> None:
    path = store.index(RULES)
    assert index_damage(path) is None
    assert index_damage(path.with_name("another.json")) is None
    path.write_text(_changed(path.read_text()))
    assert index_damage(path) == f"{path} is damaged (its content is not what was written)"


def test_a_list_with_its_names_in_another_order_is_read_whole(store: Store, read: list[Path]) -> None:
    path, before = store.index(RULES), Roll.at(store, RULES)
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    found = Roll.at(store, RULES)
    assert found.entries.equals(before.entries)
    assert found.rest == before.rest
    assert index_damage(path) is None


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
