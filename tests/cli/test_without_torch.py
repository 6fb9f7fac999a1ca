"""Verbs that compute statistics import no torch, which takes longer than they do: all of them, in one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.rooms import Room

import dgbench

HEAVY = ("torch", "torchvision", "timm", "kornia", "open_clip")
VERBS = ("select", "leaderboard", "criteria", "compare", "statistics", "power", "explain", "published")

PROGRAM = """
import contextlib, io, json, sys
from dgbench.cli import main
heavy, asked = json.loads(sys.argv[1])
told = {}
for verb, words in asked.items():
    out, code = io.StringIO(), 0
    sys.argv = ["dgbench", verb, *words]
    with contextlib.redirect_stdout(out):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    told[verb] = [code, len(out.getvalue()), [name for name in heavy if name in sys.modules]]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(room: Room, emoji: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Of each verb how it ended, how much it said, and what of the heavy packages was imported until then."""
    here, nothing = ("--store", str(room.store)), ("--store", str(tmp_path_factory.mktemp("none")))
    asked = {
        **dict.fromkeys(("select", "leaderboard", "criteria"), (room.board, *here)),
        "compare": ("erm", "sam", "--board", emoji, *nothing),
        "statistics": (emoji, *nothing),
        "power": (emoji, "-a", "erm", "-a", "pego", *nothing),
        "explain": (emoji, "sam", *nothing),
        "published": ("pacs",),
    }
    # to find out once what the board's network is like takes torch; then it is known, as it is after any plan
    dgbench.plan(emoji)
    command = [sys.executable, "-c", PROGRAM, json.dumps([HEAVY, asked])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(room.board).parent)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_it_answers_without_torch(verb: str, told: dict[str, list[Any]]) -> None:
    code, said, imported = told[verb]
    assert (code, imported) == (0, [])
    assert said > 100
