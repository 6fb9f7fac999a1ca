"""What happens when a part of a plan cannot be done."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from dgbench.api import boards
from dgbench.core.cards import CaseRules
from small import small_board


def test_a_training_that_diverges_stops_no_other(tmp_path: Path) -> None:
    board = small_board("erm", "erm(lr=1e30)", "ema(lr=1e30)")
    summary = boards.run(board, store=tmp_path, device="cpu")
    assert len(summary.failed) == 4  # one training for each target, shared by the two
    assert all("diverged" in failed.error for failed in summary.failed.values())
    assert (summary.trainings, summary.runs) == (4, 4)
    made = boards.leaderboard(board, store=tmp_path)
    assert [entry.algorithm for track in made.tracks for entry in track.entries] == ["erm"]
    assert made.absent == (), "what failed is not what was never run"
    assert {failed.algorithm for failed in made.failed} == {"erm(lr=1e+30)", "ema(lr=1e+30)"}
    assert all("diverged" in failed.reason for failed in made.failed)


def test_a_disk_that_will_be_too_small_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    board = small_board("erm").model_copy(update={"cases": {"digits": CaseRules(targets=("print",))}})
    disk = SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=20_000))
    monkeypatch.setattr("dgbench.runs.launch.shutil", disk)
    assert boards.run(board, store=tmp_path, device="cpu").runs == 1
    (said,) = [record.getMessage() for record in caplog.records if "will write" in record.getMessage()]
    assert f"to {tmp_path}, where 20.0 kB are left" in said
    caplog.clear()
    assert boards.run(board, store=tmp_path, device="cpu").runs == 0
    assert caplog.records == []
