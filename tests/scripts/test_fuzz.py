"""Some of the cases that the script counts, and that whoever watches sees what must not happen."""

from __future__ import annotations

import ast
import importlib
import os
import pickle
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fuzzing import seeds as made
from fuzzing.kinds import KINDS
from fuzzing.watch import CANARY, Watch
from PIL import Image
from scripts_loaded import load_script
from submissions.synthetic import submit

from dgbench.api.boards import rules
from dgbench.core.paths import cache_root

QUICK = sorted(KINDS.keys() - {"stores", "models", "submissions", "boards", "cards of algorithms"})
"""What needs no training to begin with and no plan; the others have tests of their own."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("fuzz")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "seeds"
    made.board(folder / "boards" / "toy")
    for make, name in (
        (made.pictures, "data"), (made.sweep, "sweep"), (made.waterbirds, "wilds"), (made.weights, "weights"),
    ):  # fmt: skip
        make(folder / name)
    made.cards(folder)
    cache_root().mkdir(parents=True, exist_ok=True)
    (folder / "cache").symlink_to(cache_root().resolve())
    (folder / "model").mkdir()
    Image.new("RGB", (9, 9)).save(folder / "model" / "a.png")
    submit(folder / "submission", rules(folder / "boards" / "toy" / "board.toml"))
    return folder


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a child of the script changes for itself is as it was, afterwards."""
    for name in ("DGBENCH_STORE", "DGBENCH_CACHE", "DGBENCH_DATA", "TMPDIR", "HF_HOME", "HF_HUB_OFFLINE", "COLUMNS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    return tmp_path / "room"


@pytest.mark.parametrize("kind", [*QUICK, "submissions"])
def test_what_is_spoilt_ends_in_an_answer_or_a_refusal(kind: str, script: ModuleType, seeds: Path, room: Path) -> None:
    count = 42 if kind == "submissions" else 3 * len(KINDS[kind].mutations)
    found = [each for each in script.cases(kind, seeds, room, range(count), 7) if "case" in each]
    assert [each for each in found if each["wrong"]] == []
    outcomes = Counter(each["outcome"] for each in found)
    assert outcomes.keys() <= {"refused", "answered", "not so"}
    assert outcomes["refused"] + outcomes["answered"] >= count / 2


def _unpickles() -> None:
    pickle.loads(b"cos\ngetcwd\n.")


FORBIDDEN: dict[str, Callable[[Path], object]] = {
    "os.system": lambda outside: os.system("true"),
    "pickle.find_class": lambda outside: _unpickles(),
    "socket.connect": lambda outside: socket.socket(socket.AF_UNIX).connect_ex("nobody"),
    "compile": lambda outside: compile(CANARY, "<string>", "eval"),
    "exec of": lambda outside: importlib.import_module(CANARY),
    "write of": lambda outside: (outside / "secret").write_text("x"),
    "read of": lambda outside: (outside / "secret").read_text(),
    "os.symlink": lambda outside: (outside / "link").symlink_to("x"),
    "os.remove": lambda outside: (outside / "secret").unlink(),
    "a decoy": lambda outside: (outside / "folder" / "x").mkdir(),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_whoever_watches_sees_it(what: str, room: Path) -> None:
    watch = Watch(room, room / "cache")
    with watch.watching():
        (watch.case / "x").write_text("what lies in the case may be written")
    assert watch.seen == []
    with watch.watching():
        FORBIDDEN[what](watch.outside)
    assert any(what in each for each in watch.seen)
    sys.modules.pop(CANARY, None)


def test_what_the_user_names_and_what_makes_no_code_is_let_be(room: Path) -> None:
    watch = Watch(room, room / "cache")
    (watch.case / "card.toml").symlink_to(watch.outside / "secret")
    with watch.watching("show", "card.toml"):
        (watch.case / "card.toml").read_text()
        with pytest.raises(ValueError, match="malformed"):
            ast.literal_eval(f"__import__('{CANARY}')")
    assert watch.seen == []


def test_what_escapes_or_acts_is_wrong(script: ModuleType, room: Path) -> None:
    def breaks(case: Path) -> None:
        raise ZeroDivisionError("it broke")

    def acts(case: Path) -> None:
        print("\x1b[31m")

    watch = Watch(room, room / "cache")
    assert script._read(breaks, watch, debug=False)[0] == "exception"
    assert "acts" in script._read(acts, watch, debug=False)[1]
    counts: dict[str, Any] = {"kind": {"way": script.Count(Counter(answered=1), 0.1, ["kind 0: wrong"])}}
    assert script.report(counts) == 1
