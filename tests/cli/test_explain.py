"""``dgbench explain``, run as a user runs it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from comparing.called import within

from dgbench.api import measuring

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


def test_a_submission_is_explained(emoji: str, tmp_path: Path) -> None:
    done = within("explain", emoji, "sam", "--store", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["algorithm"] == "sam"
    counted = told["counted"]
    assert counted["streams"] > 100, "the predictions of this submission lie beside it"
    assert (counted["differ"], counted["runs_without_predictions"]) == ([], [])
    assert counted["accuracy"] == told["accuracy"]
    weighted = [one["weight"] * sum(one["trials"]) / len(one["trials"]) for one in told["summands"]]
    assert sum(weighted) == pytest.approx(told["accuracy"]["mean"])
    assert sum(one["variance"] for one in told["summands"]) == pytest.approx(told["own_trials"]["error"] ** 2)


def test_the_commands_of_the_page_are_understood_and_what_differs_is_exit_code_1(
    emoji: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, asked = measuring.explain(emoji, "erm", trials=[0], store=tmp_path), []
    monkeypatch.setattr(measuring, "explain", lambda *args, **options: asked.append((*args, options)) or found)
    lines = re.findall(r"^dgbench explain .*$", PAGE.read_text(encoding="utf-8"), re.M)
    shown = [within(*shlex.split(line, comments=True)[1:]) for line in lines]
    assert [one.returncode for one in shown] == [0, 0]
    assert f"{found.entry.accuracy.mean:.4f}" in shown[0].stdout
    assert [(*place, options["targets"], options["trials"]) for *place, options in asked] == [
        ("quick", "erm", None, None),
        ("quick", "erm", ["dot-matrix"], [1]),
    ]
    monkeypatch.setattr(type(found), "differs", True)
    assert within("explain", emoji, "erm").returncode == 1


def test_a_wrong_name_is_one_message_and_exit_code_2(emoji: str, tmp_path: Path) -> None:
    done = within("explain", emoji, "emr", "--store", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no algorithm on this board named 'emr'. Did you mean 'erm'" in done.stderr
