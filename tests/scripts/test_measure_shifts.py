"""The script that measures shifts, run as a user runs it, once for each entry."""

import re
import subprocess
from pathlib import Path

import pytest
from nursery import python

from dgbench.core.shift_families import FAMILIES
from dgbench.data.shifts import entries

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_shifts.py"


def test_the_time_of_each_family_is_the_mean_over_its_entries() -> None:
    command = [python(), str(SCRIPT), "--repeats", "1", "--entries"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^((?:  )?\S.*?) +([\d.]+) +([\d.]+)$", done.stdout, re.MULTILINE)
    rows = [(name, [float(small), float(large)]) for name, small, large in found]
    assert [name for name, _ in rows if not name.startswith(" ")] == [*FAMILIES, "all ten"]
    total = [0.0, 0.0]
    for family in FAMILIES:
        start = [name for name, _ in rows].index(family)
        own = rows[start + 1 : start + 1 + len(entries(family))]
        assert [name for name, _ in own] == [f"  {entry.name}" for entry in entries(family)]
        for side in (0, 1):
            mean = sum(times[side] for _, times in own) / len(own)
            assert rows[start][1][side] == pytest.approx(mean, abs=0.011)
            total[side] += rows[start][1][side]
    assert rows[-1][1] == pytest.approx(total, abs=0.11)
