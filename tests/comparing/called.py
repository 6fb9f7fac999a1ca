"""``dgbench`` on the command line: as a process, as users have it, or within this one, which is quick."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from nursery import python

from dgbench.cli import main


@dataclass(frozen=True)
class Done:
    """What came of it."""

    returncode: int
    stdout: str
    stderr: str


def process(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own, in a folder."""
    command = [python(), "-m", "dgbench.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def within(*arguments: str | Path, folder: Path | None = None) -> Done:
    """In this process, and in a folder."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    asked = ["dgbench", *map(str, arguments)]
    here = contextlib.chdir(folder) if folder else contextlib.nullcontext()
    printed = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with mock.patch.object(sys, "argv", asked), here, printed[0], printed[1]:
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
    return Done(code, out.getvalue(), err.getvalue())
