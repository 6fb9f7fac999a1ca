"""Some of the mutations that the script counts, and that it sees what would be wrong."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scripts_loaded import load_script
from submissions.synthetic import submit, toy_board

from dgbench.core.cards import BoardCard, CaseRules


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("fuzz_submissions")


@pytest.fixture(scope="module")
def tiny() -> BoardCard:
    return toy_board(trials=1, cases={"digits": CaseRules(targets=("print",))})


@pytest.fixture(scope="module")
def submission(tiny: BoardCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return submit(tmp_path_factory.mktemp("fuzz"), tiny)


def test_mutated_submissions_end_in_a_clean_verdict(
    script: ModuleType, tiny: BoardCard, submission: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = script.fuzz(submission, tiny, 210, 7, tmp_path)
    assert script.report(counts) == 0, capsys.readouterr().out
    refused = sum(count.outcomes["refused"] for count in counts.values())
    assert refused > 150, "most mutations are no submissions any more"
    assert all(count.outcomes.total() == 30 for count in counts.values())


def test_a_check_that_breaks_or_says_what_acts_is_seen(
    script: ModuleType, tiny: BoardCard, submission: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("it broke")

    monkeypatch.setattr(script, "check", broken)
    counts = script.fuzz(submission, tiny, 7, 0, tmp_path)
    assert sum(len(count.wrong) for count in counts.values()) == 7
    assert script.report(counts) == 1
