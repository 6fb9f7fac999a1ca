"""The script that measures memory, run as a user runs it, on few small images."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_memory.py"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux alone says it")
def test_the_memory_of_every_training_is_shown() -> None:
    command = [sys.executable, str(SCRIPT), "--images", "56", "--pixels", "32", "--trainings", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| training (\d) \| (.*?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", done.stdout, re.MULTILINE)
    assert [(number, who) for number, who, *_ in rows] == [(n, who) for n in "12" for who in ("the program", "worker")]
    for _, _, rss, pss, anonymous in rows:
        assert 0.05 < float(anonymous) <= float(pss) <= float(rss) < 4
