"""A leaderboard that was looked at before stands as long as all that it follows from is the same, and not longer."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from dgbench.api.boards import records
from dgbench.board.from_records import from_records
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render import files
from dgbench.cli import seen
from dgbench.cli.output import screen
from dgbench.cli.present import present
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.files import write_json
from dgbench.core.paths import shipped
from dgbench.core.results import RESULT, Result
from dgbench.core.seals import DONE, seal
from dgbench.runs import remembered
from dgbench.runs.collect import Records
from dgbench.runs.planning import make_plan
from dgbench.runs.predictions import TABLE
from dgbench.runs.store import Store
from dgbench.selection.familiar import Familiar
from dgbench.selection.predictions import summarise
from drawn_stores import drawing
from small import small_board

RULES = small_board("erm", "t3a").model_copy(update={"cases": {"digits": CaseRules(targets=("print", "dot-matrix"))}})
NOTE = {"seconds": 5.0, "device": "cpu", "torch": "none", "dgbench": "drawn", "environment": {}}

drawn, store = drawing(RULES, examples=20)


@pytest.fixture(scope="module")
def as_drawn(drawn: Path) -> tuple[Records, Leaderboard]:
    """What the store holds before anybody changes it, and the leaderboard of that."""
    held = records(RULES, store=drawn)
    return held, from_records(held)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, as_drawn: tuple[Records, Leaderboard]) -> list[int]:
    """An entry for each leaderboard that is computed; that of a store as it is drawn is known, and counts as any."""
    built: list[int] = []
    before, known = as_drawn

    def counted(held: Records, criterion: str | None) -> Leaderboard:
        built.append(1)
        frames = held.runs.equals(before.runs) and held.metrics.equals(before.metrics)
        alike = frames and (held.board, held.failed, criterion) == (before.board, before.failed, None)
        return known if alike else from_records(held, criterion)

    monkeypatch.setattr("dgbench.board.interactive.from_records", counted)
    return built


def look(store: Store, rules: BoardCard = RULES, **asked: object) -> None:
    present(rules, rules, None, store.root, **{"as_json": False, "quiet": False} | asked)  # type: ignore[arg-type]


def pages(store: Store) -> dict[str, bytes]:
    """All of a board's files, but for the minute in which they were made."""
    found = store.root.glob("boards/*/*/augmented/*")
    return {path.name: re.sub(rb"\d{4}-\d\d-\d\d \d\d:\d\d UTC", b"", path.read_bytes()) for path in found}


def test_a_second_look_says_the_same_and_computes_and_writes_nothing(
    store: Store, made: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    look(store)
    first, told = pages(store), capsys.readouterr().out
    times = {path: path.stat().st_mtime_ns for path in store.root.glob("boards/*/*/augmented/*")}
    assert "ERM" in told
    assert "leaderboard.html" in told
    for _ in range(2):
        look(store)
        assert capsys.readouterr().out == told
    assert made == [1]
    assert pages(store) == first
    assert {path: path.stat().st_mtime_ns for path in times} == times
    look(store, quiet=True)
    assert capsys.readouterr().out == ""
    assert made == [1]


def test_a_second_look_imports_neither_scipy_nor_templates(
    store: Store, made: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from dgbench.cli.present import present; from dgbench.core.cards import BoardCard\n"
        "rules = BoardCard.model_validate_json(sys.argv[2])\n"
        "present(rules, rules, None, Path(sys.argv[1]), as_json=False, quiet=False)\n"
        "print(sorted({'scipy', 'jinja2'} & sys.modules.keys()))"
    )
    look(store)
    told = capsys.readouterr().out
    assert made == [1]
    given = [sys.executable, "-c", program, str(store.root), RULES.model_dump_json()]
    assert subprocess.run(given, capture_output=True, text=True, check=True).stdout == f"{told}[]\n"


def _other_predictions(store: Store) -> None:
    run = next(iter(make_plan(RULES).runs))
    folder = store.folder("run", run)
    table = pl.read_parquet(folder / TABLE).with_columns(prediction=(pl.col("label") + 1) % 10)
    (folder / DONE).unlink()
    table.write_parquet(folder / TABLE)
    write_json(folder / "result.json", RESULT.dump(Result.measured(summarise(table).to_dicts())))
    seal(folder, NOTE)


def _one_run_less(store: Store) -> None:
    shutil.rmtree(store.folder("run", next(iter(make_plan(RULES).runs))))


def _longer_training(store: Store) -> None:
    folder = store.folder("training", next(iter(make_plan(RULES).trainings)))
    seal(folder, NOTE | {"seconds": 5000.0, "initial": {"moving": None, "frozen": None}})


@pytest.mark.parametrize("change", [_other_predictions, _one_run_less, _longer_training])
def test_what_changed_in_the_store_changes_the_page(
    store: Store, made: list[int], change: Callable[[Store], None], tmp_path: Path
) -> None:
    look(store)
    first = pages(store)
    change(store)
    bare = Store(shutil.copytree(store.root, tmp_path / "bare"))
    for folder in bare.root.glob("boards/*/*/known"):
        shutil.rmtree(folder)
    look(store)
    assert made == [1, 1]
    assert pages(store)["leaderboard.html"] != first["leaderboard.html"]
    look(bare)
    assert pages(store) == pages(bare)


def test_a_file_that_was_edited_removed_or_replaced_is_written_again(store: Store, made: list[int]) -> None:
    look(store)
    first = pages(store)
    for change in (Path.unlink, lambda path: path.write_text("mine"), lambda path: os.utime(path, (1, 1))):
        change(next(iter(store.root.glob("boards/*/*/augmented/leaderboard.md"))))
        look(store)
        assert pages(store)["leaderboard.md"] == first["leaderboard.md"]
    assert made == [1] * 4


def _gone(folder: Path) -> None:
    shutil.rmtree(folder)


def _flipped(folder: Path) -> None:
    path = folder / "shown.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [_gone, _flipped])
def test_notes_that_are_gone_or_damaged_are_made_again(
    store: Store, made: list[int], spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    look(store)
    told = capsys.readouterr().out
    spoil(next(iter(store.root.glob("boards/*/*/known/seen-augmented"))))
    for _ in range(2):
        look(store)
        assert capsys.readouterr().out == told
    assert made == [1, 1]


@pytest.mark.parametrize("what", ["code", "versions", "of_board", "shipped", "revision", "familiar_to"])
def test_what_else_it_follows_from_makes_it_again(
    store: Store, made: list[int], what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    look(store)
    known: object = {"other": b""}
    if what == "shipped":
        known = shutil.copytree(shipped("algorithms"), tmp_path / "algorithms")
    elif what == "familiar_to":
        known = Familiar(identity="other")
    monkeypatch.setattr(seen, what, lambda *_: known)
    look(store)
    look(store)
    assert made == [1, 1]


def test_rules_that_share_a_list_of_runs_do_not_share_a_look(
    store: Store, made: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    look(store)
    look(store, RULES.model_copy(update={"title": "Another title"}))
    assert made == [1, 1]
    assert "Another title" in capsys.readouterr().out


def test_a_failure_that_was_noted_meanwhile_is_shown(store: Store, made: list[int]) -> None:
    _one_run_less(store)
    look(store)
    assert "it broke" not in pages(store)["leaderboard.html"].decode()
    training = next(iter(make_plan(RULES).runs.values())).training
    write_json(store.failure_note(training), {"error": "RuntimeError: it broke"})
    look(store)
    assert "it broke" in pages(store)["leaderboard.html"].decode()
    assert made == [1, 1]


def test_each_kind_of_screen_has_its_text(
    store: Store, made: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for width in (120, 80, 120, 80):
        monkeypatch.setattr("dgbench.cli.present.screen", partial(_wide, width))
        look(store)
        told.append(capsys.readouterr().out)
    assert told[:2] == told[2:]
    assert told[0] != told[1]
    assert made == [1, 1]


def _wide(width: int, *, highlight: bool) -> Console:
    console = screen(highlight=highlight)
    console.width = width
    return console


def test_other_places_and_forms_are_made_each_time(
    store: Store, made: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    look(store)
    look(store, out=tmp_path / "out")
    assert (tmp_path / "out" / "leaderboard.html").is_file()
    look(store, forms=["eee"])
    look(store, as_json=True)
    assert made == [1] * 4


def test_a_look_that_warned_is_not_noted(
    store: Store, made: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = files.write

    def warning(*given: object, **named: object) -> list[Path]:
        logging.getLogger("dgbench.runs.store").warning("something is damaged")
        return original(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "write", warning)
    look(store)
    look(store)
    assert caplog.text.count("something is damaged") == 2
    assert made == [1, 1]


def test_where_nothing_can_be_noted_it_is_made_each_time(
    store: Store, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = remembered.noted
    monkeypatch.setattr(seen, "noted", lambda *_: None)
    look(store)
    look(store)
    assert made == [1, 1]
    monkeypatch.setattr(seen, "noted", noted)
    look(store)
    look(store)
    assert made == [1, 1, 1]
