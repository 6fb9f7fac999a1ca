"""A pull request with submissions: what is new is checked, what becomes of the board is shown, workflows are sound."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from submissions.synthetic import submit, tamper

from dgbench.api import rules
from dgbench.submissions.files import sha256
from dgbench.submissions.place import Verification, note

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "check_submissions.py"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A branch that adds two submissions to ``quick``: a good one, and one that was changed by hand."""
    room = tmp_path_factory.mktemp("repository")
    git(room, "init", "-q", "-b", "main")
    (room / "README.md").write_text("x")
    git(room, "add", "-A")
    git(room, "commit", "-qm", "first")
    git(room, "checkout", "-qb", "branch")
    into = room / "leaderboards" / "quick" / "submissions"
    submit(into, rules("quick"))
    git(room, "add", "-A")
    git(room, "commit", "-qm", "a good one")
    git(room, "checkout", "-qb", "spoilt")
    spoilt = into / "erm@2"
    shutil.copytree(into / "erm@1", spoilt)
    tamper(spoilt, says=lambda content: content.update(id="erm@2", board=content["board"] | {"rules": "0" * 16}))
    git(room, "add", "-A")
    git(room, "commit", "-qm", "another")
    git(room, "checkout", "-q", "branch")
    git(room, "checkout", "-qb", "vouching")
    shutil.rmtree(into / "erm@1" / "predictions")
    seen = Verification(submission=sha256(into / "erm@1" / "submission.json"), level="full re-run", by="me", made="now")
    note(into / "erm@1", seen)
    git(room, "add", "-A")
    git(room, "commit", "-qm", "its own level, and no predictions")
    return room


def call(repository: Path, branch: str, base: str) -> subprocess.CompletedProcess[str]:
    git(repository, "checkout", "-q", branch)
    return subprocess.run([sys.executable, str(SCRIPT), base], cwd=repository, capture_output=True, text=True)


def test_what_a_branch_adds_is_checked_and_the_board_compared(repository: Path) -> None:
    done = call(repository, "branch", "main")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.replace("\\", "").splitlines()
    assert "* leaderboards/quick/submissions/erm@1: good; recomputed" in lines
    (row,) = [line for line in lines if line.startswith("| now")]
    assert [cell.strip() for cell in row.split("|")][2:5] == ["erm", "inductive", "self-reported"]
    assert not [line for line in lines if line.startswith("| before")]


@pytest.mark.parametrize("base", ["main", "branch"])
def test_a_level_that_comes_with_the_branch_is_not_believed(repository: Path, base: str) -> None:
    """Whether the submission is new or there already: without predictions it is self-reported, whatever a note says."""
    done = call(repository, "vouching", base)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.replace("\\", "")
    assert "* leaderboards/quick/submissions/erm@1: good; self-reported\n" in lines
    assert "    * E04 marked: its predictions are not here" in lines
    assert "    * the .verified.json beside it comes with this branch, and is not believed here: keep it if" in lines
    assert "full re-run" not in lines
    rows = [line.split("|")[4].strip() for line in lines.splitlines() if line.startswith("| now")]
    assert rows == ["self-reported"] * (base == "main"), "nothing changes where it was self-reported before"


def test_a_refused_one_fails_and_changes_no_board(repository: Path) -> None:
    done = call(repository, "spoilt", "branch")
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.replace("\\", "")
    assert "erm@2: **refused**" in lines
    assert "E02 refused: it was made by the rules 0000000000000000" in lines
    assert "| now" not in lines
    assert "Traceback" not in done.stderr


def test_a_branch_without_submissions_is_told_so(repository: Path) -> None:
    done = call(repository, "branch", "branch")
    assert (done.returncode, done.stdout) == (0, "No submission was added or changed.\n")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_sound(path: Path) -> None:
    """It parses, has rights to read alone, and names programs and files that there are."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content[True], "'on' is read as a truth by this parser"
    assert "pull_request_target" not in content[True], "it would give a stranger's branch our rights"
    assert content["permissions"] == {"contents": "read"}
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for job in content["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            script = step.get("run", "")
            subprocess.run(["bash", "-n", "-c", script], check=True)
            assert "${{" not in script or "matrix" in script, "nothing that a stranger names stands in a script"
            for target in re.findall(r"\bmake (\w+)", script):
                assert target in targets
            for program in re.findall(r"(?:^|\s)((?:scripts|\.ci)/[\w.]+)", script, re.M):
                assert (ROOT / program).is_file()
                assert program.startswith("scripts/") or os.access(ROOT / program, os.X_OK)


def test_there_are_the_two_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["submissions.yml", "tests.yml"]
