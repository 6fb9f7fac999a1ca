"""Stamps of files, by which each is known again without being read.

A look at a store of a hundred thousand runs asks for half a million of them. Each takes microseconds, most of them of
an interpreter that does one thing at a time; so where there are many, programs read a share each, by paths from the
folder, which are shorter to walk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dgbench.core.processes import cores
from dgbench.runs import stamp_program
from dgbench.runs.stamp_program import BETWEEN, NO_STAMP, Stamp, in_turn, stamp

__all__ = ["NO_STAMP", "Stamp", "stamp", "stamps"]
_WORTH = 20_000
"""How many stamps are read in about the time in which a program starts."""


def stamps(root: Path, paths: pl.Series) -> NDArray[np.uint64]:
    """The stamps ``[n, 4]`` of files in a folder, given by their paths in it; zeros for those that are not there."""
    programs = min(cores(), len(paths) // _WORTH)
    if programs < 2:
        found = [_here(root, paths)]
    else:
        shares = [paths[len(paths) * n // programs : len(paths) * (n + 1) // programs] for n in range(programs)]
        with ExitStack() as stack:
            said = [stack.enter_context(_elsewhere(root, share)) for share in shares]
            found = [one() for one in said]
    return np.concatenate(found).reshape(-1, len(NO_STAMP))


@contextmanager
def _elsewhere(root: Path, paths: pl.Series) -> Iterator[Callable[[], NDArray[np.uint64]]]:
    """Have another program read stamps; what is given waits for it, and reads them here where it fails."""
    with ExitStack() as stack:
        try:
            asked, said = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            asked.write(os.fsencode(paths.str.join(BETWEEN).item()))
            asked.seek(0)
            # Ctrl-C ends that program as well, which is not worth a word.
            program = subprocess.Popen(
                [sys.executable, "-I", "-S", stamp_program.__file__],
                cwd=root,
                stdin=asked,
                stdout=said,
                stderr=subprocess.DEVNULL,
            )
        except OSError:  # a full disk, or as many processes as there may be
            yield partial(_here, root, paths)
            return
        stack.enter_context(program)
        stack.callback(program.kill)

        def waited() -> NDArray[np.uint64]:
            if program.wait():
                return _here(root, paths)
            said.seek(0)
            return np.fromfile(said, np.uint64)

        yield waited


def _here(root: Path, paths: pl.Series) -> NDArray[np.uint64]:
    return np.array(in_turn(f"{root}/{path}" for path in paths), np.uint64)
