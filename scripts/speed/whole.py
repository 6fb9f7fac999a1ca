"""Rows of whole jobs: processes from their start to their end, by the clock and in CPU time."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import dgbench
from speed.row import Mode, Row
from speed.setup import PRECISION, Setup

SHARED = (
    "erm", "t3a", "adanpc", "swad", "swad + t3a", "swad + adanpc", "ema", "ema + t3a", "ema + adanpc", "ema(decay=0.9)",
    "ema(decay=0.9) + t3a", "ema(decay=0.9) + adanpc", "ema(decay=0.999)", "ema(decay=0.999) + t3a",
)  # fmt: skip
"""Fourteen recipes that differ in averaging and prediction alone, and so share a training."""
_REFERENCE = Path(__file__).parents[1] / "reference_pipeline.py"


@dataclass(frozen=True)
class Cost:
    """Of processes: seconds by the clock, and of all cores."""

    wall: float
    cpu: float


def run(command: Sequence[str | Path], where: Path, **environment: str) -> Cost:
    """Run a command; its children count.

    Raises:
        SystemExit: it failed; with the end of what it said.
    """
    began, used = time.perf_counter(), _children()
    done = subprocess.run(command, cwd=where, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return Cost(time.perf_counter() - began, _children() - used)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Theirs:
    """Trainings as the reference does them, a process for each, one after the other.

    Args:
        setup: The data, and how much is done.
        peer: A checkout of the reference benchmark; without one the pipeline written from what it does.
    """

    def __init__(self, setup: Setup, peer: Path | None = None) -> None:
        self.setup = setup
        self.peer = peer

    @property
    def name(self) -> str:
        """For the table."""
        workers = self.setup.size.workers
        return "the benchmark itself" if self.peer else f"reference, {workers} worker{'s' * (workers > 1)} a loader"

    def train(self, trial: int) -> Cost:
        """One training; it has two checkpoints, at step 0 and at the end.

        Raises:
            SystemExit: it failed, or wrote no results.
        """
        size, folder = self.setup.size, self.setup.folder / "theirs"
        shutil.rmtree(folder, ignore_errors=True)
        hparams = {"batch_size": size.batch, "resnet18": True, "data_augmentation": True}
        options = {
            "data_dir": self.setup.data, "algorithm": "ERM", "dataset": "PACS", "test_envs": self.setup.test,
            "hparams": json.dumps(hparams), "trial_seed": trial, "steps": size.steps, "checkpoint_freq": size.steps + 1,
            "output_dir": folder,
        }  # fmt: skip
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        if self.peer:
            cost = run([sys.executable, "-m", "domainbed.scripts.train", *words], self.peer)
        else:
            own = ["--size", str(size.pixels), "--workers", str(size.workers)]
            cost = run([sys.executable, _REFERENCE, *words, *own], self.setup.folder)
        if not ((folder / "done").exists() and (folder / "results.jsonl").exists()):
            raise SystemExit(f"{self.peer or _REFERENCE} ended without {folder}/results.jsonl and done")
        return cost

    @lru_cache  # noqa: B019 (one for each round; the object lives as long as the program)
    def jobs(self, turn: int) -> Cost:
        """All trials."""
        costs = [self.train(trial) for trial in range(self.setup.size.trials)]
        return Cost(sum(cost.wall for cost in costs), sum(cost.cpu for cost in costs))


def ours(setup: Setup, board: Path) -> Cost:
    """``dgbench run``, from an empty store and an empty cache."""
    folder = setup.folder / "ours"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "dgbench.cli", "run", board, "--store", folder / "store", "--quiet"]
    return run(command, setup.folder, DGBENCH_CACHE=str(folder / "cache"))


def jobs(setup: Setup, modes: list[Mode], theirs: Sequence[Theirs]) -> Iterator[Row]:
    """Trainings of two trials, from nothing to what selects models."""
    goal = {"parity": 2, "fast": 5}
    boards = {mode: setup.board(f"jobs-{mode}", ("erm",), PRECISION[mode]) for mode in modes}
    own: dict[Mode, list[Cost]] = {mode: [] for mode in modes}
    other: dict[Theirs, list[Cost]] = {peer: [] for peer in theirs}
    for turn in range(setup.jobs):
        for mode, board in boards.items():
            own[mode].append(ours(setup, board))
        for peer in theirs:
            other[peer].append(peer.jobs(turn))
    number = setup.size.trials
    what = f"{number} training{'s' * (number > 1)}"
    for mode in modes:
        for peer in theirs:
            wall = ([cost.wall for cost in costs] for costs in (own[mode], other[peer]))
            yield Row("jobs", f"{what}, by the clock", mode, "s", next(wall), peer.name, next(wall), goal[mode])
            cpu = ([cost.cpu for cost in costs] for costs in (own[mode], other[peer]))
            yield Row("jobs", f"{what}, CPU", mode, "s", next(cpu), peer.name, next(cpu))


def board(setup: Setup, modes: list[Mode], theirs: Sequence[Theirs]) -> Iterator[Row]:
    """Fourteen rows of a leaderboard: trainings, and seconds by the clock for each of the runs."""
    for number, mode in enumerate(modes):
        path = setup.board(f"board-{mode}", SHARED, PRECISION[mode])
        plan = dgbench.plan(path)
        if not number:
            trainings, runs = [len(plan.trainings)], [len(plan.runs)]
            yield Row("board", f"trainings of {len(SHARED)} rows", mode, "", trainings, "one for each row", runs, 12)
        own = [ours(setup, path).wall / len(plan.runs) for _ in range(setup.jobs)]
        for peer in theirs:
            other = [peer.jobs(turn).wall / setup.size.trials for turn in range(setup.jobs)]
            yield Row("board", f"a run of {len(SHARED)} rows, by the clock", mode, "s", own, peer.name, other, 25)
