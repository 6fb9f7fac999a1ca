"""What the script counts, and that it sees what would go wrong; the sweeps themselves take minutes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from scripts_loaded import load_script

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    return load_script("chaos")


def sealed(piece: str, *files: str, seconds: float = 1.0) -> dict[str, Any]:
    return {"what": "sealed", "kind": "runs", "piece": piece, "files": files, "note": {"seconds": seconds}}


def aside(piece: str) -> dict[str, Any]:
    return {"what": "aside", "kind": "runs", "piece": piece}


@pytest.mark.parametrize(
    ("lines", "completed", "twice"),
    [
        ([sealed("a", "x"), sealed("b", "x")], 2, []),
        ([sealed("a", "x"), sealed("a", "x", seconds=2.0)], 1, ["runs/a"]),
        ([sealed("a", "x"), aside("a"), sealed("a", "x", seconds=2.0)], 2, []),
        ([sealed("a", "x"), aside("b"), sealed("a", "x", seconds=2.0)], 1, ["runs/a"]),
        ([sealed("a", "x", "y"), sealed("a", "x")], 1, []),
        ([sealed("a", "x"), sealed("a", "x", "y")], 1, ["runs/a"]),
        ([sealed("a", "x"), aside("b"), sealed("a", "x", "y")], 1, []),
    ],
)
def test_a_piece_that_is_sealed_anew_was_completed_twice_unless_it_was_damaged(
    lines: list[dict[str, Any]], completed: int, twice: list[str], script: ModuleType
) -> None:
    counts, found = script.completions(lines)
    assert (counts["pieces completed"], found) == (completed, twice)


WORKS = """
import os, sys, time
from pathlib import Path
piece = Path(sys.argv[1]) / "runs" / "0123456789abcdef"
piece.mkdir(parents=True)
(piece / "new").write_text('{"seconds": 1.0, "files": {"x": [1, "y"]}, "sha256": "z"}')
os.replace(piece / "new", piece / "done.json")
(piece.parents[1] / "damaged").mkdir()
piece.rename(piece.parents[1] / "damaged" / "run-1")
while time.time() > 0:
    (piece.parents[1] / "more").touch()
"""


def test_a_process_notes_what_becomes_of_pieces_and_dies_at_its_work(script: ModuleType, tmp_path: Path) -> None:
    arena = script.Arena(tmp_path / "round", tmp_path / "store", random.Random(0), mounted=False)
    arena.prepare(0)
    worker = [sys.executable, "-c", "# dgbench.core.worker" + WORKS, str(arena.store)]
    done = subprocess.run(worker, env=arena.environment(), capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    lines = arena.happened()
    assert [line["what"] for line in lines] == ["sealed", "aside", "killed"]
    assert {line["piece"] for line in lines[:2]} == {"0123456789abcdef"}
    assert (lines[0]["files"], lines[0]["note"]) == (["x"], {"seconds": 1.0})
    assert arena.happened() == []


def test_a_file_is_damaged_and_nothing_that_is_being_written(script: ModuleType, tmp_path: Path) -> None:
    arena = script.Arena(tmp_path / "round", tmp_path / "store", random.Random(0), mounted=False)
    arena.prepare(0)
    piece = arena.store / "runs" / "0123456789abcdef"
    (piece / ".x.0123456789abcdef").mkdir(parents=True)
    files = [piece / "x", piece / "done.json", piece / ".x.0123456789abcdef" / "x", arena.store / "locks"]
    for path in files:
        path.write_bytes(b"0123456789")
    before = {path: path.read_bytes() for path in files}
    for _ in range(20):
        arena.damage()
    assert {path for path in files if path.read_bytes() != before[path]} == set(files[:2])
    assert sum(arena.did.values()) == 20
    assert {line["what"] for line in arena.happened()} == {"damaged"}


def test_a_store_that_came_out_otherwise_is_seen(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def piece(root: Path, accuracy: float) -> None:
        folder = root / "runs" / "0123456789abcdef"
        folder.mkdir(parents=True)
        pl.DataFrame({"logit_0": [accuracy]}).write_parquet(folder / "predictions.parquet")
        (folder / "result.json").write_text(json.dumps({"metrics": accuracy}))

    piece(tmp_path / "expected", 0.5)
    piece(tmp_path / "store", 0.25)
    (tmp_path / "store" / "runs" / ".left").mkdir()
    arena = script.Arena(tmp_path / "round", tmp_path / "store", random.Random(0), mounted=False)
    arena.prepare(0)
    (arena.folder / "said-0").write_text("Traceback (most recent call last)")
    monkeypatch.setattr(script.Arena, "start", lambda arena: None)
    monkeypatch.setattr(script.Arena, "command", lambda arena, *words: 0)
    monkeypatch.setattr(script, "disturb", lambda arena, kills: [])
    total = script.Total()
    assert script.round_of(arena, 1, script.contents(tmp_path / "expected"), total) == 0
    kinds = [fault.partition(":")[0] for fault in total.faults]
    assert sorted(kinds) == ["differs", "differs", "ended by a traceback", "left behind"]


def test_the_disk_is_full_and_takes_nothing_and_is_sound_again(script: ModuleType, tmp_path: Path) -> None:
    with script.disk(tmp_path / "disk", 1) as mounted:
        if not mounted:
            pytest.skip("only an administrator can mount a disk")
        arena = script.Arena(tmp_path / "round", tmp_path / "disk" / "store", random.Random(0), mounted)
        arena.store.mkdir()
        met: list[int | None] = []

        def wait(seconds: float) -> None:
            try:
                (arena.store / "x").write_bytes(b"x" * 100_000)
            except OSError as error:
                met.append(error.errno)

        arena.wait = wait
        arena.fill()
        arena.forbid()
        assert [os.strerror(number or 0) for number in met] == ["No space left on device", "Read-only file system"]
        (arena.store / "x").write_bytes(b"x" * 100_000)
    assert not (tmp_path / "disk" / "store").exists()
    shutil.rmtree(tmp_path / "disk")
