"""The board of slabs: its commands, and by which coordinate a network goes that was trained by its rules."""

from __future__ import annotations

import json
import math
import re
import shlex
from pathlib import Path

import pytest
from comparing.called import within
from scripts_loaded import load_script

import dgbench
from dgbench.runs.store import Store
from in_process import carry_out

PAGE = (Path(__file__).parents[2] / "docs" / "diagnostics.md").read_text(encoding="utf-8")
DOMAINS = ("test", "random-simple", "random-others")


def test_a_network_goes_by_the_simple_coordinate_alone(tmp_path: Path) -> None:
    """A hundred steps are enough for that."""
    board = dgbench.rules("slabs", datasets=["slabs-lms-5"], algorithms=["erm"], trials=1)
    few = board.model_copy(update={"training": board.training.model_copy(update={"steps": 100})})
    carry_out(few, tmp_path)
    (found,) = dgbench.ranking(few, "auc", store=tmp_path).to_polars().to_dicts()
    by_chance = math.sqrt(1 / (3 * 10_000))  # of the area where scores say nothing of ten thousand, half of each class
    assert found["value_random-simple"] == pytest.approx(0.5, abs=3 * by_chance)
    assert min(found["value_test"], found["value_random-others"]) > 0.999


def test_the_commands_of_the_page_say_the_area_of_each_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a store in which all is done, which nobody trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DGBENCH_STORE", raising=False)
    (block,) = re.findall(r"```sh\n(dgbench run slabs.*?)```", PAGE, re.DOTALL)
    load_script("measure_store").fill(Store(tmp_path / "store"), dgbench.rules("slabs"), examples=40)
    run, look = (shlex.split(line, comments=True)[1:] for line in block.splitlines())
    done = within(*run)
    assert done.returncode == 0, done.stderr
    assert "nothing was left to do" in done.stderr
    shown = within(*look)
    assert shown.returncode == 0, shown.stderr
    assert "Area under the curve" in shown.stdout
    for entry in json.loads(within(*look, "--json").stdout)["entries"]:
        for name in DOMAINS:
            for dataset in ("slabs-lms-5", "slabs-ms-5-7"):
                assert 0 <= entry[f"value_{dataset}/{name}"] <= 1
