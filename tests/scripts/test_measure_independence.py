"""The correlation that the script prints, on noise whose correlation is known."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from scripts_loaded import load_script

from dgbench.core.cards import CaseRules

script = load_script("measure_independence")


@pytest.mark.parametrize("r", [0.0, 0.1, 0.3, 0.8])
def test_the_interval_covers_the_truth_as_often_as_it_says(r: float) -> None:
    """Targets differ in level and spread; a part of each one's noise, of variance r, belongs to the trial."""
    rng = np.random.default_rng(0)
    spread, level = np.array([[0.02], [0.05], [0.01], [0.03]]), np.array([[0.6], [0.5], [0.9], [0.7]])
    found = []
    for _ in range(600):
        noise = np.sqrt(r) * rng.standard_normal((1, 30)) + np.sqrt(1 - r) * rng.standard_normal((4, 30))
        found.append(script.correlation(level + spread * noise))
    assert np.mean([one.r for one in found]) == pytest.approx(r, abs=0.02)
    assert 0.92 <= np.mean([one.low <= r <= one.high for one in found]) <= 0.975


def test_targets_that_move_together_have_correlation_one() -> None:
    trials = np.array([0.1, 0.2, 0.4])
    assert script.correlation(np.stack([trials, 0.3 + 2 * trials]) + 1e-9).r == pytest.approx(1)


def test_the_script_measures_a_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own but for the targets, which are two."""
    board, two = script.board, {"digits": CaseRules(targets=("print", "dot-matrix"))}
    monkeypatch.setattr(script, "board", lambda *asked: board(*asked).model_copy(update={"cases": two}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DGBENCH_STORE", "kept")
    asked = ["--trials", "3", "--steps", "2", "--backbone", "dgbench:convnet-small"]
    monkeypatch.setattr(sys, "argv", ["measure_independence.py", *asked])
    script.main()
    printed = capsys.readouterr().out
    assert re.search(r"^\| ema \| [+-]\d\.\d\d \| [+-]\d\.\d\d to [+-]\d\.\d\d \| x \d", printed, re.MULTILINE)
