"""The script that measures memory, run as a user runs it, on few small images.

Its worker is a fresh interpreter, and so its child, as users have it; the program itself is a copy. Its network is
smaller.
"""

import re
import subprocess
from pathlib import Path

import pytest
from nursery import python

SCRIPTS = Path(__file__).parents[2] / "scripts"
PROGRAM = """
import functools, sys, nursery
sys.path.insert(0, {scripts!r})
import measure_memory
measure_memory.replace = functools.partial(measure_memory.replace, network="test_resnet", views=2)
with nursery.fresh_workers():
    measure_memory.main()
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux alone says it")
def test_the_memory_of_every_training_is_shown() -> None:
    few = ["--images", "56", "--pixels", "32", "--batch", "2", "--trainings", "2"]
    command = [python(), "-c", PROGRAM.format(scripts=str(SCRIPTS)), *few]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| rss, GB | pss, GB | anonymous, GB |" in done.stdout
    rows = re.findall(r"^\| training (\d) \| (.*?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", done.stdout, re.MULTILINE)
    assert [(number, who) for number, who, *_ in rows] == [(n, who) for n in "12" for who in ("the program", "worker")]
    for _, who, rss, pss, anonymous in rows:
        assert 0.05 < float(anonymous) <= float(rss) < 4
        assert 0.05 < float(pss) <= float(rss)
        assert float(anonymous) <= float(pss) or who == "the program"  # a copy shares such pages
