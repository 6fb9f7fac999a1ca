"""A pull request with submissions: what is new is checked, what becomes of the board is shown, workflows are sound."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from nursery import python
from scripts_loaded import load_script
from submissions.boards import write_board
from submissions.synthetic import submit, tamper

from dgbench.api.boards import rules
from dgbench.core import cards
from dgbench.core.paths import shipped
from dgbench.submissions.files import sha256
from dgbench.submissions.place import Verification, note

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "check_submissions.py"
check_submissions = load_script("check_submissions")
comment_on_submissions = load_script("comment_on_submissions")
MARKDOWN = MarkdownIt()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """``quick`` has rules that ask for one run."""
    boards = tmp_path_factory.mktemp("boards")
    write_board(boards / "quick", "erm", targets=("print",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cards, "shipped", lambda folder: boards if folder == "leaderboards" else shipped(folder))
        yield


@pytest.fixture(scope="module")
def repository(small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def call(repository: Path, branch: str, base: str) -> tuple[int, str]:
    """Its exit code, and what it prints."""
    git(repository, "checkout", "-q", branch)
    with contextlib.chdir(repository), contextlib.redirect_stdout(io.StringIO()) as out:
        return check_submissions.main(base), out.getvalue()


def test_what_a_branch_adds_is_checked_and_the_board_compared(repository: Path) -> None:
    code, said = call(repository, "branch", "main")
    assert code == 0, said
    lines = said.replace("\\", "").splitlines()
    assert "* leaderboards/quick/submissions/erm@1: good; recomputed" in lines
    (row,) = [line for line in lines if line.startswith("| now")]
    assert [cell.strip() for cell in row.split("|")][2:5] == ["erm", "inductive", "self-reported"]
    assert not [line for line in lines if line.startswith("| before")]


@pytest.mark.parametrize("base", ["main", "branch"])
def test_a_level_that_comes_with_the_branch_is_not_believed(repository: Path, base: str) -> None:
    """Whether the submission is new or there already: without predictions it is self-reported, whatever a note says."""
    code, said = call(repository, "vouching", base)
    assert code == 0, said
    lines = said.replace("\\", "")
    assert "* leaderboards/quick/submissions/erm@1: good; self-reported\n" in lines
    assert "    * E04 marked: its predictions are not here" in lines
    assert "    * the .verified.json beside it comes with this branch, and is not believed here: keep it if" in lines
    assert "full re-run" not in lines
    rows = [line.split("|")[4].strip() for line in lines.splitlines() if line.startswith("| now")]
    assert rows == ["self-reported"] * (base == "main"), "nothing changes where it was self-reported before"


def test_a_refused_one_fails_and_changes_no_board(repository: Path) -> None:
    code, said = call(repository, "spoilt", "branch")
    assert code == 1, said
    lines = said.replace("\\", "")
    assert "erm@2: **refused**" in lines
    assert "E02 refused: it was made by the rules 0000000000000000" in lines
    assert "| now" not in lines


def test_a_branch_without_submissions_is_told_so(repository: Path) -> None:
    """By the script as a workflow calls it."""
    git(repository, "checkout", "-q", "branch")
    done = subprocess.run([python(), str(SCRIPT), "branch"], cwd=repository, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "No submission was added or changed.\n"), done.stderr


def events(content: dict[Any, Any]) -> dict[str, Any]:
    """What starts a workflow; this parser reads 'on' as a truth."""
    started: dict[str, Any] = content[True]
    return started


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_sound(path: Path) -> None:
    """It parses, has rights to read alone unless it runs nothing of a branch, and names programs that there are."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert "pull_request_target" not in events(content), "it would give a stranger's branch our rights"
    if "workflow_run" in events(content):
        assert content["permissions"] == {"actions": "read", "contents": "read", "pull-requests": "write"}
        assert list(events(content)) == ["workflow_run"]
    else:
        assert content["permissions"] == {"contents": "read"}
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for job in content["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            assert "ref" not in step.get("with", {}), "who may write checks out the main branch"
            assert not step.get("uses", "").startswith("actions/download-artifact"), "nothing of it is unpacked"
            script = step.get("run", "")
            subprocess.run(["bash", "-n", "-c", script], check=True)
            assert "${{" not in script or "matrix" in script, "nothing that a stranger names stands in a script"
            for target in re.findall(r"\bmake (\w+)", script):
                assert target in targets
            for program in re.findall(r"(?:^|\s)((?:scripts|\.ci)/[\w.]+)", script, re.M):
                assert (ROOT / program).is_file()
                assert program.startswith("scripts/") or os.access(ROOT / program, os.X_OK)


def test_there_are_these_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["comment.yml", "submissions.yml", "tests.yml"]


def test_what_the_check_leaves_behind_is_what_the_comment_reads() -> None:
    checks, comments = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (WORKFLOWS[1], WORKFLOWS[0]))
    assert events(comments)["workflow_run"]["workflows"] == [checks["name"]]
    *_, check, upload = checks["jobs"]["check"]["steps"]
    assert upload["with"]["name"] in comments["jobs"]["comment"]["steps"][-1]["run"]
    assert upload["if"] == "always()", "a refusal is commented, too"
    for name in (comment_on_submissions.TEXT, comment_on_submissions.NUMBER):
        assert f"{upload['with']['path']}/{name}" in check["run"]


def artifact(folder: Path, **files: str | bytes) -> Path:
    path = folder / "artifact.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return path


hostile = st.text() | st.lists(
    st.sampled_from(
        ["```", "~~~", "````text", "</details>", "<img src=x>", "@everyone", "# x", "[a](javascript:b)", "\x1b[2J"]
    )
    | st.text("` ~>\n\t-", max_size=9)
).map("\n".join)


@given(hostile)
@example("`" * 100)
@example("\r".join(["```", "# outside"]))
@example("x" * 200_000)
@example("\r\t")
def test_nothing_of_a_stranger_s_text_leaves_its_fence(text: str) -> None:
    """A parser of Markdown sees our sentence, and one block of code that says what was printed."""
    said = comment_on_submissions.comment(text, "failure", "https://example.org/run")
    assert len(said) < 65_536
    tokens = MARKDOWN.parse(said)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close", "fence"]
    shown = tokens[-1].content.split("\n")
    assert all(line.isprintable() for line in shown)
    if len(text) < 40_000:
        seen = ["".join(c if c.isprintable() else "\ufffd" for c in line) for line in text.splitlines()]
        assert tokens[-1].content == "\n".join(seen) + "\n"
    assert "something is refused" in tokens[1].content


def test_the_comment_is_written_and_its_number_printed(tmp_path: Path) -> None:
    path = artifact(tmp_path, text_md="## Submissions\n\n* good", number_txt="17\n")
    command = [sys.executable, "-I", str(ROOT / "scripts" / "comment_on_submissions.py"), str(path)]
    about = {"CONCLUSION": "success", "RUN": "https://example.org/run"}
    done = subprocess.run([*command, str(tmp_path / "out.md")], capture_output=True, text=True, env=os.environ | about)
    assert (done.returncode, done.stdout) == (0, "17\n"), done.stderr
    said = (tmp_path / "out.md").read_text(encoding="utf-8")
    assert said.startswith(
        "The submissions of this branch were checked: nothing is refused ([the run](https://example.org/run))."
    )
    assert said.endswith("```text\n## Submissions\n\n* good\n```\n")


@pytest.mark.parametrize("number", ["", "0", "-1", "1; rm -rf /", "1\n2", "../1", "\u0661", "1" * 10, "x" * 1_000_000])
def test_what_is_no_number_comments_nowhere(number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = artifact(tmp_path, text_md="x", number_txt=number)
    assert comment_on_submissions.main(str(path), str(tmp_path / "out.md")) == 1
    assert "does not say which pull request" in capsys.readouterr().err
    assert not (tmp_path / "out.md").exists()


@pytest.mark.parametrize("files", [{}, {"text_md": "x"}, {"number_txt": "1"}, {"../text_md": "x", "number_txt": "1"}])
def test_an_artifact_that_lacks_a_file_is_an_error(files: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the artifact cannot be read"):
        comment_on_submissions.read(artifact(tmp_path, **files))
    (tmp_path / "artifact.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError, match="the artifact cannot be read"):
        comment_on_submissions.read(tmp_path / "artifact.zip")


def test_a_text_that_unfolds_without_end_is_read_in_bounds(tmp_path: Path) -> None:
    path = artifact(tmp_path, text_md=b"x" * 50_000_000, number_txt="1")
    assert path.stat().st_size < 100_000
    assert len(comment_on_submissions.read(path)[1]) == 200_000
