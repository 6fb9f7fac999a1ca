"""The script that times heads trains as many as it says, each as its own training."""

import re
from pathlib import Path

import pytest
from scripts_loaded import load_script

from dgbench.core.seals import sealed

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_heads.py"


def test_each_draw_is_a_training_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    script = load_script("measure_heads")
    for objective in script.OBJECTIVES:
        done, processor = script.train(objective, "photo", 0, 2, 3, tmp_path / objective)
        assert done == 2
        assert 0 < processor < 60
        notes = [sealed(folder) for folder in (tmp_path / objective).iterdir()]
        assert len(notes) == 2
        for note in notes:
            assert note is not None
            weights = {name for name in note["files"] if name.startswith("weights/")}
            assert weights == {"weights/000002.safetensors", "weights/000003.safetensors"}


def test_what_was_timed_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    asked = ["--steps", "2", "--draws", "2", "--trials", "1", "--workers", "1", "--objective", "irm"]
    load_script("measure_heads").main(asked)
    shown = capsys.readouterr().out
    assert re.search(r"^\| irm \| 8 \| 2 \| [\d.,]+ \| [\d.,]+ \| \d+ \|$", shown, re.MULTILINE)
