"""The page *Use a model* runs from top to bottom as it stands there, on fewer pictures and a smaller board."""

import contextlib
import csv
import io
import re
import runpy
import shlex
import sys
from pathlib import Path
from unittest import mock

import pytest
from comparing.called import within

from dgbench.core.paths import shipped

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "use-a-model.md"
BOARD = [
    ('name = "own"', 'name = "tiny"'),
    ("steps = 300", "steps = 4"),
    ("trials = 3", "trials = 1"),
    ("draws = 8", "draws = 1"),
    ("checkpoints = 10", "checkpoints = 2"),
    ("size=128", "size=32"),
    ('["erm", "mixup", "irm", "vrex", "sam", "ema", "adanpc", "t3a"]', '["erm", "vrex", "t3a"]'),
]
SMALLER = [("--count 200", "--count 6"), ("000.png", "00.png"), (" own ", " tiny.toml ")]


def changed(text: str, changes: list[tuple[str, str]]) -> str:
    for old, new in changes:
        text = text.replace(old, new)
    return text


def blocks(kind: str) -> list[str]:
    return [
        text for found, text in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if found == kind
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    rules = (shipped("leaderboards") / "own" / "board.toml").read_text(encoding="utf-8")
    for old, _ in BOARD:
        assert old in rules
    (home / "tiny.toml").write_text(changed(rules, BOARD), encoding="utf-8")
    return home


def run(home: Path, program: str, *words: str) -> str:
    """What a line prints, all in this process, which has imported torch already."""
    if program == "dgbench":
        done = within(*words, folder=home)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout
    printed, said = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(said),
        contextlib.chdir(home),
        mock.patch.object(sys, "argv", list(words)),
    ):
        runpy.run_path(words[0], run_name="__main__")
    assert "Traceback" not in said.getvalue()
    return printed.getvalue()


def test_the_page_runs_from_top_to_bottom(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(home / "cache"))
    monkeypatch.setenv("DGBENCH_STORE", str(home / "store"))
    printed = {}
    for line in "".join(blocks("sh")).splitlines():
        program, *words = shlex.split(changed(line, SMALLER), comments=True)
        words = [str(ROOT / word) if word.startswith("scripts/") else word for word in words]
        printed[words[0]] = run(home, program, *words)
    assert "on a domain never seen" in printed["deploy"]
    assert re.search(
        r"24 pictures, 0 left out. Of \d+ .* % go by the foreground, .* % by the background", printed["reliance"]
    )
    with (home / "sketch.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 6
    assert {row["class"] for row in rows} <= {"circle", "square", "star", "triangle"}
    assert {"model", "left_out", "adapting"} <= {path.name for path in home.iterdir()}
    (code,) = blocks("python")
    (home / "script.py").write_text(changed(code, SMALLER), encoding="utf-8")
    said = run(home, "python", "script.py")
    assert re.match(r"(circle|square|star|triangle)\n(flat|outline|sketch) value=", said)
    assert said.count("tensor(") == 1, "thirty pictures are one batch"
    page = (home / "model" / "README.md").read_text(encoding="utf-8")
    for words in (
        "What to expect on a domain never seen",
        "What is not promised",
        "trained on the domains flat, outline",
    ):
        assert words in page
