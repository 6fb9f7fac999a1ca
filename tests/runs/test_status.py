"""How far boards are: what the store says, whoever looks."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from comparing.called import within
from polars.testing import assert_frame_equal
from rich.console import Console

from dgbench.board.render.state import render
from dgbench.core.files import write_json
from dgbench.core.remote import Folder
from dgbench.core.seals import DONE, read_sealed, write_sealed
from dgbench.runs.collect import collect
from dgbench.runs.joining import join
from dgbench.runs.planning import make_plan
from dgbench.runs.remembered import place
from dgbench.runs.sharing import Shared
from dgbench.runs.status import Spent, Status, status
from dgbench.runs.store import Store
from drawn_stores import drawing
from small import small_board

RULES = small_board("erm", "sam")

drawn, store = drawing(RULES, examples=2, pool=1)


def far(store: Store) -> Status:
    (found,) = status(store).boards
    return found


def test_a_board_that_is_done_has_nothing_to_go(store: Store) -> None:
    found = far(store)
    assert (found.board, found.runs, found.runs_finished, found.trainings, found.trainings_finished) == (
        "small", 8, 8, 8, 8,
    )  # fmt: skip
    assert (found.runs_failed, found.runs_left, found.at_work, found.seconds_to_go) == (0, 0, 0, 0.0)
    assert found.spent == (Spent("cpu", 16 * 5.0, None),)
    assert found.memory_bytes is None


def test_what_is_missing_failed_or_at_work_is_counted(store: Store) -> None:
    plan = make_plan(RULES)
    gone, broken = list(plan.runs.values())[:2]
    for run in (gone, broken):
        shutil.rmtree(store.folder("run", run.id))
    write_json(store.failure_note(broken.training), {"error": "RuntimeError: it broke"})
    with store.owned("run", gone.id):
        found = far(store)
    assert (found.runs_finished, found.runs_failed, found.runs_left, found.at_work) == (6, 1, 1, 1)
    assert far(store).at_work == 0
    assert found.share == 6 / 8


def test_a_run_that_is_damaged_is_not_done(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    assert far(store).runs_finished == 8
    path = store.folder("run", next(iter(make_plan(RULES).runs))) / "predictions.parquet"
    os.truncate(path, 10)
    assert far(store).runs_finished == 7
    assert "is damaged" in caplog.text


def test_a_damaged_table_of_what_was_noted_is_made_again(store: Store) -> None:
    """One that this look does not read itself."""
    far(store)
    path = place(store, RULES, "finished") / "measured.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    shutil.rmtree(store.folder("run", next(iter(make_plan(RULES).runs))))
    assert (far(store).runs_finished, far(store).trainings_finished) == (7, 8)
    records, plain = collect(RULES, store), Store(shutil.copytree(store.root, store.root.parent / "plain"))
    shutil.rmtree(place(plain, RULES, "finished").parent)
    assert_frame_equal(records.metrics, collect(RULES, plain).metrics)


def shared(disk: Path, root: Path) -> Store:
    """A store of machines that share a disk, as one of them sees it."""
    return Store(root, Shared(Folder(f"file://{disk}"), root))


def test_a_store_that_is_shared_is_seen_as_it_is_by_a_machine_that_comes_later(store: Store, tmp_path: Path) -> None:
    mine, new = (shared(tmp_path / "disk", tmp_path / name) for name in ("mine", "new"))
    join(mine, store)
    for _ in range(2):
        assert_frame_equal(collect(RULES, new).metrics, collect(RULES, store).metrics)
        found = far(new)
        assert (found.runs_finished, found.trainings_finished) == (8, 8)


def test_what_another_machine_removed_is_not_done(store: Store, tmp_path: Path) -> None:
    mine = shared(tmp_path / "disk", tmp_path / "mine")
    join(mine, store)
    assert far(shared(tmp_path / "disk", tmp_path / "theirs")).runs_finished == 8
    run = next(iter(make_plan(RULES).runs))
    with mine.owned("run", run):
        shutil.rmtree(mine.folder("run", run))
    theirs = shared(tmp_path / "disk", tmp_path / "theirs")  # as the next command opens it
    assert far(theirs).runs_finished == 7
    assert collect(RULES, theirs).missing == 1


def test_what_other_machines_hold_or_could_not_do_is_counted(store: Store, tmp_path: Path) -> None:
    mine, theirs = (shared(tmp_path / "disk", tmp_path / name) for name in ("mine", "theirs"))
    gone, broken = list(make_plan(RULES).runs.values())[:2]
    for run in (gone, broken):
        shutil.rmtree(store.folder("run", run.id))
    join(mine, store)
    mine.note_failure(broken.training, {"error": "RuntimeError: it broke"})
    theirs.indices()
    with mine.owned("run", gone.id):
        found = far(theirs)
    assert (found.runs_finished, found.runs_failed, found.runs_left, found.at_work) == (6, 1, 1, 1)
    assert far(theirs).at_work == 0


def test_without_a_word_of_when_runs_were_finished_there_is_no_pace(store: Store) -> None:
    shutil.rmtree(store.folder("run", next(iter(make_plan(RULES).runs))))
    found = far(store)  # drawn, or copied, a moment ago
    assert (found.runs_left, found.runs_per_hour, found.seconds_to_go) == (1, None, None)


def test_the_pace_is_that_of_the_last_hour(store: Store) -> None:
    """Two old ones that came here now do not count; of five every minute four are intervals, the last until now."""
    now, runs = time.time(), list(make_plan(RULES).runs)
    for number, run in enumerate(runs):
        path = store.folder("run", run) / DONE
        at = now - 7200 if number < 2 else now - 60 * (number - 1)
        write_sealed(path, read_sealed(path) | {"ended": int(at)})
    shutil.rmtree(store.folder("run", runs[2]))
    found = far(store)
    assert found.runs_left == 1
    assert found.runs_per_hour == pytest.approx(3600 * 4 / 360, rel=0.02)
    assert found.seconds_to_go == pytest.approx(90, rel=0.02)


def test_what_work_took_is_what_seals_say(store: Store) -> None:
    trainings = list(make_plan(RULES).trainings)
    for number, id_ in enumerate(trainings[:2], 1):
        path = store.folder("training", id_) / DONE
        said = {"images": 1000 * number, "memory_bytes": 10**9 * number, "device": "H", "peak_bytes": 5 * number}
        write_sealed(path, read_sealed(path) | said)
    found = far(store)
    assert found.spent == (Spent("H", 10.0, 300.0), Spent("cpu", 70.0, None))
    assert (found.memory_bytes, found.peak_bytes) == (2 * 10**9, 10)


def test_the_page_asks_for_nothing_from_elsewhere(store: Store, tmp_path: Path) -> None:
    done = within("status", store.root, "--html", tmp_path / "far.html")
    assert done.returncode == 0, done.stderr
    assert re.search(r"small +8 +8 +0 +0 +0", done.stdout)
    page = (tmp_path / "far.html").read_text()
    assert "https://" not in page
    assert 'value="1.0"' in page
    assert page.count("<table>") == 2
    assert render(status(store)).count("small") == page.count("small")


def test_the_same_as_json(store: Store) -> None:
    (store.root / "boards" / "small" / "0.json").write_text("{")
    done = within("status", "--store", store.root, "--json")
    told = json.loads(done.stdout)
    assert told["boards"][0]["runs_finished"] == 8
    assert [Path(path).name for path in told["unreadable"]] == ["0.json"]
    assert within("status", store.root, "--json", "--watch").returncode == 2
    assert "there is no store" in within("status", store.root / "none").stderr


@pytest.mark.parametrize("terminal", [False, True])
def test_watching_says_what_looking_says_until_the_store_is_gone(
    terminal: bool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 2:
            raise KeyboardInterrupt
        if len(slept) == 2:
            shutil.rmtree(store.root)
        else:
            (store.root / "boards" / "small" / "0.json").write_text("{")

    monkeypatch.setattr("dgbench.cli.status.time.sleep", sleep)
    monkeypatch.setattr("dgbench.cli.status.screen", lambda: Console(force_terminal=terminal, width=300))
    done = within("status", store.root, "--watch", "--every", "0.5")
    assert (done.returncode, slept) == (2, [0.5, 0.5])
    first, second = done.stdout.split("an hour")[1:3]
    assert "0.json is damaged" not in first
    assert "0.json is damaged" in second
    assert done.stderr.count("\n") == 1
    assert "there is no store" in done.stderr


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--store", "elsewhere"], "or elsewhere\\? Leave out one"),
        (["--every", "5"], "add --watch"),
        (["--html", "."], "cannot be written \\(Is a directory\\)"),
        (["--html", "store"], "cannot be written \\(Is a directory\\)"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(asked: list[str], said: str, store: Store, tmp_path: Path) -> None:
    done = within("status", store.root, *asked, folder=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert re.search(said, done.stderr)
