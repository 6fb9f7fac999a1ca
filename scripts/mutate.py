"""Does a test fail for each of many small faults: a sign, a mean for a sum, a missing square, a step too late?

    python scripts/mutate.py
    python scripts/mutate.py --only optimizers/sam --only selection/

``mutations.toml`` beside this has the faults, each with the tests that should find it. They are made one at a time, in
a copy of the repository, so that nothing here changes; the tests stop at their first failure. What survives is listed
at the end, and then the exit code is 1. With no fault all these tests must pass, which is seen to first.
"""

from __future__ import annotations

import argparse
import compileall
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ROOT / "scripts" / "mutations.toml"
SECONDS = 600
"""What the tests of one fault may take; a fault that hangs them is found."""
_FORKS = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Mutation:
    """One fault.

    Attributes:
        file: Where, below ``dgbench/``.
        fault: What it is, in words.
        before, after: What the file says, in one place, and what it says in place of it.
        tests: Files below ``tests/``.
    """

    file: str
    fault: str
    before: str
    after: str
    tests: tuple[str, ...]

    def made(self, text: str) -> str:
        """The file's text with the fault.

        Raises:
            ValueError: the place is not there, or is there several times.
        """
        if (count := text.count(self.before)) != 1:
            raise ValueError(f"mutations.toml: {self.file} has '{self.before}' {count} times, not once; name it anew")
        return text.replace(self.before, self.after)


def mutations() -> list[Mutation]:
    """All of them, in the order of the file."""
    listed = tomllib.loads(FAULTS.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**{**one, "tests": tuple(one["tests"])}) for one in listed]


def copied(folder: Path) -> Path:
    """All files of the repository that git knows, elsewhere."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def passes(folder: Path, tests: Sequence[str]) -> bool:
    """Whether tests of a copy pass."""
    log = folder / "mutate.log"
    process = _FORKS.Process(target=_run, args=(folder, tests, log))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        return False
    if process.exitcode not in (0, 1):
        raise RuntimeError(f"the tests could not run: {log.read_text(encoding='utf-8')[-2000:]}")
    return process.exitcode == 0


def _run(folder: Path, tests: Sequence[str], log: Path) -> None:
    """Run tests of a copy, in a process that has torch already, and nothing of dgbench."""
    import pytest

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.exit(int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *(f"tests/{test}" for test in tests)])))


def found(folder: Path, mutation: Mutation) -> bool:
    """Whether the tests find a fault, in a copy that is afterwards what it was."""
    path = folder / "dgbench" / mutation.file
    text = path.read_text(encoding="utf-8")
    path.write_text(mutation.made(text), encoding="utf-8")
    try:
        return not passes(folder, mutation.tests)
    finally:
        path.write_text(text, encoding="utf-8")


def main(given: Sequence[str] | None = None) -> int:
    """Make them all; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="faults of files whose path has this in it; repeat for several")
    asked = parser.parse_args(given)
    chosen = [one for one in mutations() if not asked.only or any(part in one.file for part in asked.only)]
    with tempfile.TemporaryDirectory() as place:
        folder = copied(Path(place))
        compileall.compile_dir(folder, quiet=1)
        _FORKS.set_forkserver_preload(["torch", "pytest", "scipy.stats"])
        if not passes(folder, sorted({test for one in chosen for test in one.tests})):
            print("tests fail without any fault", file=sys.stderr)
            return 2
        survivors = []
        for one in chosen:
            started = time.perf_counter()
            caught = found(folder, one)
            survivors += [] if caught else [one]
            took = time.perf_counter() - started
            print(f"{'found   ' if caught else 'SURVIVED'} {took:5.0f} s  {one.file}: {one.fault}", flush=True)
    files = len({one.file for one in chosen})
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} faults in {files} files are found by a test")
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main())
