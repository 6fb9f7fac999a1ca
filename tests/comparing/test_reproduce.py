"""``dgbench reproduce``: one run is done again, and told apart from what it was."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from comparing.called import process, within
from comparing.conftest import Room

import dgbench
from dgbench.api import reproducing
from dgbench.api.boards import rules
from dgbench.core.errors import RecordError, StoreError
from dgbench.core.files import read_json, write_json
from dgbench.core.seals import DONE, seal
from dgbench.core.spec import identity
from dgbench.runs import again as redone
from dgbench.runs.origin import origin, resolved
from dgbench.runs.store import Store


def runs(room: Room) -> pl.DataFrame:
    return dgbench.records(rules(room.board), store=room.store).runs


def run_of(room: Room, algorithm: str, target: str = "print") -> str:
    here = (pl.col("algorithm") == algorithm) & (pl.col("target") == target)
    return str(runs(room).filter(here)["run"].item())


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_run_is_done_again_bit_for_bit_and_the_store_stays_as_it_is(room: Room) -> None:
    run = run_of(room, "t3a")  # looking a run up notes what was read, once
    before = content(room.store)
    done = process(room.folder, "reproduce", run[:8], "--board", room.board, "--store", room.store)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"run {run}" in done.stdout
    assert "T3A on 'small', target print, trial 0, draw 0" in done.stdout
    assert "the same bit for bit" in done.stdout
    assert content(room.store) == before


def test_the_command_that_is_printed_makes_the_very_run(room: Room) -> None:
    done = within("reproduce", run_of(room, "sam"), "--board", room.board, "--store", room.store, "-n", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["outcome"] is None
    words = shlex.split(told["command"])
    assert words[:5] == ["dgbench", "run", room.board, "-a", "sam"]
    plan = dgbench.plan(rules(room.board, algorithms=["sam"]))
    assert run_of(room, "sam") in plan.runs
    assert told["again"] == shlex.join(
        ["dgbench", "reproduce", run_of(room, "sam"), "--board", room.board, "--store", str(room.store)]
    )
    again = within(*shlex.split(told["again"])[1:], "--dry-run")
    assert again.returncode == 0, again.stderr
    assert told["command"] in again.stdout.splitlines()[2]


def test_without_rules_at_hand_a_run_follows_from_its_spec(room: Room) -> None:
    """The board is one's own, and its file is gone."""
    found = dgbench.reproduce(run_of(room, "erm"), store=room.store, dry_run=True)
    assert found.command == ""
    assert found.places == ("ERM on 'small', target print, trial 0, draw 0",)
    assert found.differences == ()
    assert found.unnoted == ()
    assert not found.agrees, "nothing was done"


def test_changes_of_trials_draws_data_and_backbone_are_part_of_the_command() -> None:
    from dgbench.runs.origin import planned

    asked = rules("quick", algorithms=["t3a"], trials=5, backbone="dgbench:vit-micro")
    plan = dgbench.plan(asked)
    run = next(entry.run for entry in plan.entries if entry.trial == 4)
    found = planned(plan, run, [])
    assert found is not None
    command = reproducing._command(found, None)
    assert command == "dgbench run quick -a t3a --backbone dgbench:vit-micro --trials 5"


def test_what_this_machine_has_otherwise_is_named(room: Room, tmp_path: Path) -> None:
    store, run = Path(shutil.copytree(room.store, tmp_path / "store")), run_of(room, "erm")
    for kind, id_ in (("runs", run), ("trainings", origin(Store(store), run).run.training)):
        note = read_json(store / kind / id_ / DONE)
        files = note.pop("files")
        note |= {"torch": "1.0", "dgbench": "0.1.0 (0123456789ab-dirty)"}
        note["environment"] = {"python": "3.99.0", "threads": "1"}
        seal(store / kind / id_, {key: value for key, value in note.items() if key != "sha256"}, files)
    found = dgbench.reproduce(run, store=store, dry_run=True)
    then = {one.what: one.then for one in found.differences}
    assert then == {"torch": "1.0", "dgbench": "0.1.0 (0123456789ab-dirty)", "python": "3.99.0"}
    assert found.dirty
    assert {"processor", "numpy", "timm"} <= set(found.unnoted)
    assert "threads" not in found.unnoted


def test_the_tolerance_decides_the_exit_code(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done again is the stored table with probabilities moved, or with predictions of another class."""
    run = run_of(room, "erm")
    table = pl.read_parquet(room.store / "runs" / run / "predictions.parquet")
    inward = pl.when(pl.col("p_label") < 0.5).then(1.0).otherwise(-1.0)
    other = pl.when(pl.int_range(pl.len()) < 3).then((pl.col("prediction") + 1) % 10).otherwise(pl.col("prediction"))
    cases = {
        "probabilities differ by up to 0.0004": (0, table.with_columns(pl.col("p_label") + 0.0004 * inward)),
        "probabilities differ by up to 0.01": (1, table.with_columns(pl.col("p_label") + 0.01 * inward)),
        "3 of": (1, table.with_columns(prediction=other)),
        "other examples are predicted": (1, table.head(-1)),
    }
    for words, (code, after) in cases.items():
        after.cast(table.schema).write_parquet(tmp_path / "after.parquet")
        monkeypatch.setattr(redone, "alone", lambda *_, **__: tmp_path / "after.parquet")
        done = within("reproduce", run, "--store", room.store)
        assert done.returncode == code, words
        assert words in done.stdout
        told = json.loads(within("reproduce", run, "--store", room.store, "--json").stdout)
        assert told["agrees"] == (code == 0)
        assert not told["outcome"]["identical"]


def test_ids_may_be_short_but_must_be_unique() -> None:
    known = ["0011223344556677", "0011aa3344556677", "ff11223344556677"]
    assert resolved("ff", known) == "ff11223344556677"
    assert resolved("FF", known) == "ff11223344556677"
    assert resolved("0011a", known) == "0011aa3344556677"
    assert resolved("9", known) is None
    assert resolved("", known) is None
    with pytest.raises(StoreError, match="2 runs begin with '0011': 0011223344556677, 0011aa3344556677; give more"):
        resolved("0011", known)


def test_what_cannot_be_done_is_one_message(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(room, "erm")
    typo = run[:-2] + ("00" if run[-2:] != "00" else "11")
    done = within("reproduce", typo, "--store", room.store)
    assert done.returncode == 2
    assert f"Did you mean '{run}'" in done.stderr
    monkeypatch.setattr(reproducing, "_submitted", lambda board: ())  # of all boards it is read but once
    training = runs(room).filter(pl.col("run") == run)["training"].item()
    with pytest.raises(StoreError, match=f"{training} is a training, and no run; of its runs there are .*{run}"):
        dgbench.reproduce(training, store=room.store)
    # another version of dgbench
    store = Path(shutil.copytree(room.store, tmp_path / "store"))
    folder = store / "runs" / run
    spec = {**read_json(folder / "spec.json"), "schema": "dgbench.run/2"}
    write_json(folder / "spec.json", spec)
    note = read_json(folder / DONE)
    seal(folder, {key: value for key, value in note.items() if key not in ("files", "sha256")})
    old = folder.rename(folder.with_name(identity(spec))).name
    with pytest.raises(StoreError, match=re.escape("another version of dgbench (dgbench.run/2; this one makes")):
        dgbench.reproduce(old, store=store)
    (store / "runs" / old / DONE).unlink()
    with pytest.raises(StoreError, match="no finished run"):
        dgbench.reproduce(old, store=store)


def test_a_submitted_run_is_done_again(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its predictions lie with it, elsewhere, or nowhere: then what was announced of them is compared."""
    board = Path(shutil.copytree(Path(room.board).parent, tmp_path / "small")) / "board.toml"
    folder = dgbench.make_submission(str(board), "erm", tmp_path / "out", store=room.store)
    place = dgbench.add_submission(folder, board=str(board))
    run = run_of(room, "erm")
    found = dgbench.reproduce(run, board=str(board), store=tmp_path / "empty")
    assert found.outcome is not None
    assert found.outcome.identical
    assert found.command.startswith(f"dgbench run {board} -a erm")
    assert {one.what for one in found.differences} <= {"dgbench"}
    shutil.rmtree(place / "predictions")
    again = folder / "predictions" / f"{run}.parquet"
    monkeypatch.setattr(redone, "alone", lambda *_, **__: again)  # it was done just now
    for predictions in (None, folder):
        found = dgbench.reproduce(run, board=str(board), store=tmp_path / "empty", predictions=predictions)
        assert found.outcome is not None
        assert found.outcome.identical
    table = pl.read_parquet(again)
    table.with_columns(confidence=pl.col("confidence") * 0.999).write_parquet(tmp_path / "other.parquet")
    monkeypatch.setattr(redone, "alone", lambda *_, **__: tmp_path / "other.parquet")
    found = dgbench.reproduce(run, board=str(board), store=tmp_path / "empty")
    assert not found.agrees
    assert "not those that were announced" in str(found.outcome)
    shutil.copyfile(tmp_path / "other.parquet", again)
    with pytest.raises(RecordError, match="is not what was submitted"):
        dgbench.reproduce(run, board=str(board), store=tmp_path / "empty", predictions=folder)


class _Code(HTMLParser):
    """The text of every element ``code``."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag == "code"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.inside = False


def test_the_commands_of_a_sites_pages_work_as_they_are_printed(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dgbench.build_site(tmp_path / "site", [room.board], store=room.store)
    printed: dict[str, list[str]] = {}
    for place in ("algorithms/sam.html", "boards/small/runs/sam.html"):
        parsed = _Code()
        parsed.feed((tmp_path / "site" / place).read_text(encoding="utf-8"))
        printed[place] = [
            code for code in parsed.found if code.startswith("dgbench reproduce ") and " " in code[18:] + " "
        ]
    assert printed["algorithms/sam.html"] == [f"dgbench reproduce {run_of(room, 'sam', 'dot-matrix')}"]
    on_runs = [f"dgbench reproduce {run_of(room, 'sam', target)}" for target in ("print", "dot-matrix")]
    assert sorted(printed["boards/small/runs/sam.html"]) == sorted(on_runs)
    monkeypatch.setenv("DGBENCH_STORE", str(room.store))
    for command in on_runs:
        done = within(*shlex.split(command)[1:], "-n")
        assert done.returncode == 0, done.stderr
        assert "SAM on 'small'" in done.stdout


def test_a_run_that_another_submission_lost_is_found_where_it_came_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, store = "abcdef0123456789", Store(tmp_path / "store")
    monkeypatch.setattr(reproducing, "_submitted", lambda board: [(run, ("quick", tmp_path / name)) for name in "ab"])
    monkeypatch.setattr(reproducing, "_of_submission", lambda *found: found)
    monkeypatch.setattr(reproducing, "_row", lambda run, place: (place.name, run) if place.name == "a" else None)
    assert reproducing._found("abcdef", store, None, None) == ("quick", "a", run, None)
    monkeypatch.setattr(reproducing, "_row", lambda run, place: None)
    with pytest.raises(StoreError, match="there is no finished run 'abcdef'") as caught:
        reproducing._found("abcdef", store, None, None)
    assert run not in str(caught.value)
