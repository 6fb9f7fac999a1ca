"""A plan that was made before is made again from what the cache knows: the same, and without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from comparing.called import within

from dgbench.core.paths import cache_root
from dgbench.runs import timing
from dgbench.runs.pace import Pace

BOARDS = ("quick", "domainbed-clip-vit-b16")
HEAVY = ("torch", "torchvision", "timm", "open_clip")
ASK = """
import contextlib, io, json, sys
from unittest import mock
from dgbench.cli import main

def printed(*arguments):
    out = io.StringIO()
    with mock.patch.object(sys, "argv", ["dgbench", *arguments]), contextlib.redirect_stdout(out):
        try:
            main()
        except SystemExit as ended:
            assert not ended.code, ended.code
    return out.getvalue()

found = {board: json.loads(printed("plan", board, "--json", "--device", "cpu")) for board in %r}
print(json.dumps({"plans": found, "modules": sorted(set(sys.modules) & set(%r))}))
"""


def test_the_second_plan_of_a_board_is_the_first_and_takes_no_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = cache_root() / "datasets"
    data.mkdir(exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "datasets").symlink_to(data)
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DGBENCH_STORE", str(tmp_path / "store"))
    timed: list[str] = []

    def time(training: object, device: str, workers: int) -> Pace:
        timed.append(device)
        return Pace(3.0, 1.0)

    monkeypatch.setattr(timing, "timed", time)
    first = {}
    for board in BOARDS:
        done = within("plan", board, "--json", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        first[board] = json.loads(done.stdout)
    assert timed
    answer = subprocess.run(
        [sys.executable, "-c", ASK % (BOARDS, HEAVY)], capture_output=True, text=True, env=os.environ
    )
    assert answer.returncode == 0, answer.stderr
    said = json.loads(answer.stdout)
    assert said["plans"] == first
    assert said["modules"] == []


def test_every_part_that_comes_with_dgbench_is_read_without_torch() -> None:
    read = (
        "from dgbench.core.registry import BUILT_IN, load; [load(slot, n) for slot in BUILT_IN for n in BUILT_IN[slot]]"
    )
    ask = f"{read}; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask]).returncode == 0
