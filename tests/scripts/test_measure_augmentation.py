"""The script that measures augmentation, run as a user runs it, on few images."""

import re
import subprocess
from pathlib import Path

from nursery import python

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_augmentation.py"


def test_speed_of_both_ways_and_their_agreement_are_printed() -> None:
    command = [python(), str(SCRIPT), "--images", "24", "--repeats", "1", "--epochs", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = dict(re.findall(r"^(item, 1 thread|loader, 1 worker|batch, 1 thread) +([\d.]+) ", done.stdout, re.MULTILINE))
    assert set(rows) == {"item, 1 thread", "loader, 1 worker", "batch, 1 thread"}
    assert all(float(milliseconds) > 0 for milliseconds in rows.values())
    ratios = re.findall(r"batch against this: ([\d.]+) \([\d.]+ to [\d.]+\)", done.stdout)
    assert len(ratios) >= 2
    assert all(float(ratio) > 1 for ratio in ratios)
    distances = re.findall(r"± [\d.]+ +([+-][\d.]+)$", done.stdout, re.MULTILINE)
    assert len(distances) == 7
    assert all(abs(float(distance)) < 5 for distance in distances)
