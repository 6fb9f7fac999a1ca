"""The script that compares two algorithms, run as a user runs it, on a board of one's own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from dgbench.core.paths import shipped

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_algorithms.py"


def test_two_algorithms_are_compared_with_a_paired_interval(tmp_path: Path) -> None:
    rules = (shipped("leaderboards") / "quick" / "board.toml").read_text()
    rules = re.sub(r'name = "quick"', 'name = "mine"', rules, count=1)
    rules = re.sub(r"steps = \d+\ncheckpoints = \d+", "steps = 2\ncheckpoints = 1", rules).replace("@letters", "")
    (tmp_path / "mine.toml").write_text(rules)
    command = [sys.executable, str(SCRIPT), "erm", "t3a(filter_size=5)", "--board", "mine.toml", "--trials", "2"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"DGBENCH_STORE": "kept"}
    )
    assert done.returncode == 0, done.stderr
    for target in ("handwritten", "print", "dot-matrix", "seven-segment"):
        assert re.search(rf"^{target} +[+-]\d+\.\d( ± \d+\.\d)? \(n = 2\)$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^all targets +[+-]\d+\.\d ± \d+\.\d \(n = 8\)$", done.stdout, re.MULTILINE)
    assert "the interval" in done.stdout
    assert len(list((tmp_path / "kept" / "trainings").iterdir())) == 8  # T3A needed none of its own


def test_a_wrong_name_is_one_message(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "erm", "tea"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Did you mean 't3a'" in done.stderr
    assert "Traceback" not in done.stderr
