"""A few of the kills that the script counts, and that it sees what they would spoil."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from scripts_loaded import load_script

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_kills.py"


def test_killed_work_ends_with_the_same_bits(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("3 kills, 0 files that differ\n")
    assert done.stdout.count("| 1 | 0 |") == 3


def test_a_file_that_differs_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = load_script("measure_kills")

    def work(case: object, root: Path, kill: object = None) -> bool:
        """Its weights say whether it was killed."""
        folder = root / "trainings" / "one"
        folder.mkdir(parents=True, exist_ok=True)
        dies = kill is not None and not (folder / "killed").exists()
        (folder / ("killed" if dies else "w.safetensors")).write_text(str((folder / "killed").exists()))
        return dies

    monkeypatch.setattr(script, "in_process", work)
    monkeypatch.setattr(script, "sealed", lambda folder: {"seconds": 1.0})
    monkeypatch.setattr(script, "next_kill", lambda *arguments: script.Kill(0, 0.0))
    case = script.Case("erm", "adamw", "dgbench:convnet-small")
    assert script.measure(case, 2, random.Random(0), tmp_path) == (2, ["trainings/one/w.safetensors"] * 2)
