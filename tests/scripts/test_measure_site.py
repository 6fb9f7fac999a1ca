from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_site.py"


def test_a_small_site_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--methods", "10", "--datasets", "2", "--targets", "2"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    said = capsys.readouterr().out
    # 10 methods, 4 targets, 3 trials, 2 steps: the target and two sources in ten views
    assert said.startswith("5,040 records: leaderboards in ")
    times = ", ".join(rf"'{what}': \d+" for what in ("usable", "loaded", "sorted", "judged"))
    assert re.search(rf"the board's page, in milliseconds: (None|\{{{times}\}})", said)
