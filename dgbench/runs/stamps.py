"""Stamps of files, by which each is known again without being read.

A look at a store of a hundred thousand runs asks for half a million of them. Each takes microseconds, most of them of
an interpreter that does one thing at a time; so where there are many, programs read a share each, in the
folder itself, from where the way is shorter.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from array import array
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
        with ThreadPoolExecutor(programs) as threads:
            found = list(threads.map(partial(_elsewhere, root), shares))
    return np.concatenate([np.array(one, np.uint64) for one in found]).reshape(-1, len(NO_STAMP))


def _elsewhere(root: Path, paths: pl.Series) -> array[int]:
    """Have another program read stamps; where it is killed, or has no room, they are read here."""
    command = [sys.executable, "-I", "-S", stamp_program.__file__]
    quiet = subprocess.DEVNULL  # Ctrl-C ends that program as well, which is not worth a word
    with suppress(OSError), tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(BETWEEN.join(paths).encode())
        asked.seek(0)
        if not subprocess.run([*command], cwd=root, stdin=asked, stdout=said, stderr=quiet).returncode:
            said.seek(0)
            return array("Q", said.read())
    return _here(root, paths)


def _here(root: Path, paths: pl.Series) -> array[int]:
    return in_turn(f"{root}/{path}" for path in paths)
