"""Stamps of many files, which several programs read, are those that the system says of each."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pytest

from dgbench.runs import stamp_program, stamps

NAMES = ("a", "b c", "ünï çode", "new\nline", "deep/er/file", "gone", "-I", "🦓")


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files, where three programs share as few."""
    for number, name in enumerate(NAMES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
        os.utime(path, ns=(1, 10**18 + number))
    (tmp_path / "gone").unlink()
    monkeypatch.setattr(stamps, "_WORTH", 2)
    monkeypatch.setattr(stamps, "cores", lambda: 3)
    return tmp_path


def said(root: Path, names: tuple[str, ...]) -> list[tuple[int, ...]]:
    return [tuple(row) for row in stamps.stamps(root, pl.Series(names, dtype=pl.String)).tolist()]


def asked(root: Path, names: tuple[str, ...]) -> list[tuple[int, ...]]:
    """One after the other."""
    found = [path.stat() if (path := root / name).exists() else None for name in names]
    return [(one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) if one else (0, 0, 0, 0) for one in found]


@pytest.mark.parametrize("count", range(len(NAMES) + 1))
def test_they_are_those_of_the_system_in_the_order_of_the_paths(many: Path, count: int) -> None:
    assert said(many, NAMES[:count]) == asked(many, NAMES[:count])
    assert said(many, NAMES[:count][::-1]) == asked(many, NAMES[:count])[::-1]


def test_as_many_programs_read_as_there_are_cores_or_none(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[int] = []
    programs: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def told(command: list[str], *, stdin: BinaryIO, **how: Any) -> subprocess.Popen[bytes]:
        shares.append(stdin.read().count(b"\0") + 1)
        stdin.seek(0)
        programs.append(popen(command, stdin=stdin, **how))
        return programs[-1]

    monkeypatch.setattr(subprocess, "Popen", told)
    assert said(many, NAMES) == asked(many, NAMES)
    assert shares == [2, 3, 3]
    assert [program.returncode for program in programs] == [0, 0, 0]
    shares.clear()
    assert said(many, NAMES[:3]) == asked(many, NAMES[:3])
    assert shares == [], "of so few this process reads them sooner"


def test_what_a_program_that_is_killed_leaves_is_read_all_the_same(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = many / "program.py"
    program.write_text("import os; os.kill(os.getpid(), 9)")
    monkeypatch.setattr(stamp_program, "__file__", str(program))
    assert said(many, NAMES) == asked(many, NAMES)


def test_where_no_program_can_be_started_they_are_read_all_the_same(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**how: Any) -> BinaryIO:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert said(many, NAMES) == asked(many, NAMES)


def test_whoever_writes_a_file_changes_its_stamp(many: Path) -> None:
    """Though he puts size and time back."""
    before = stamps.stamp(many / "b c")
    (many / "b c").write_bytes(b"y")
    os.utime(many / "b c", ns=(1, 10**18 + 1))
    after = stamps.stamp(many / "b c")
    assert before is not None
    assert after is not None
    assert before[:3] == after[:3]
    assert before != after
