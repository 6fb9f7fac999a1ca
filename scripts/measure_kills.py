"""Does work that was killed go on to the same bits? Counts kills, and what comes out otherwise.

    python scripts/measure_kills.py --kills 100

Small trainings and their runs are done once undisturbed, and again in processes that get SIGKILL at random instants
after a checkpoint was written: within a step, while files are written, while predictions are made. Each is gone on with
until it is done, and then every weight, validation, prediction and metric is compared, bit for bit; only measured
seconds may differ. The recipes are those that keep something from step to step (moments of AdamW and SGD, two passes,
UDIM's snapshot), the networks those whose weights lie in memory otherwise than in a file (convolutions of several
channels). Prints a Markdown table, and exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import torch

import dgbench
from dgbench.core.cards import PartChoice, RecipeSlots, SplitRules, TrainingRules
from dgbench.core.files import read_json
from dgbench.core.seals import MIDWAY, sealed
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.plan import RunSpec
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.train.spec import TrainingSpec

RECIPES = (("erm", "adamw"), ("erm", "sgd"), ("sam", "adamw"), ("udim(sam_phase=0.5)", "adamw"))
BACKBONES = ("dgbench:convnet-small", "dgbench:vit-micro", "timm:test_vit(size=32)", "efficientnet-lite0(size=32)")
STEPS, EVERY = 12, 2
KILLS = 3
"""At most so many kills before a training may finish."""
CPU = torch.device("cpu")
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["dgbench.runs.execute"])


@dataclass(frozen=True)
class Case:
    """What is trained, with which base optimizer, on which network."""

    recipe: str
    base: str
    backbone: str


@dataclass(frozen=True)
class Kill:
    """SIGKILL, so many seconds after a step (0: after the start)."""

    step: int
    seconds: float


def planned(case: Case) -> tuple[TrainingSpec, list[RunSpec]]:
    """One training, and runs with its last weights, its exponential average and SWAD's."""
    recipes = [case.recipe, f"{case.recipe} + ema", f"{case.recipe} + swad"]
    board = dgbench.rules("quick", algorithms=recipes, trials=1)
    training = TrainingRules(steps=STEPS, checkpoints=STEPS // EVERY, batch_per_domain=4, norm_mode="train")
    changes = {
        "tracks": dict.fromkeys(board.tracks, case.backbone),
        "training": training,
        "split": SplitRules(validation=0.02, test=0.05),
        "defaults": RecipeSlots(optimizer=PartChoice(part=case.base)),
    }
    plan = make_plan(board.model_copy(update=changes))
    first = next(iter(plan.trainings.values()))
    return first, [run for run in plan.runs.values() if run.training == first.id]


def work(case: Case, root: Path, kill: Kill | None) -> None:
    """Do all that is left to do in a store, or die."""
    torch.set_num_threads(1)
    training, runs = planned(case)

    def at(step: int) -> None:
        if kill is not None and step == kill.step:
            threading.Timer(kill.seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()

    at(0)
    do_training(training, Store(root), CPU, at)
    do_runs(training, runs, Store(root), CPU)
    os._exit(0)


def in_process(case: Case, root: Path, kill: Kill | None = None) -> bool:
    """Whether the process was killed."""
    process = SERVER.Process(target=work, args=(case, root, kill))
    process.start()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        sys.exit(f"measure_kills: {case} ended with exit code {process.exitcode}")
    return process.exitcode != 0


def contents(root: Path) -> dict[str, Any]:
    """All that was computed in a store, by file."""
    found: dict[str, Any] = {}
    for path in sorted(root.glob("*/*/**/*")):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".safetensors":
            found[name] = path.read_bytes()
        elif path.suffix == ".parquet":
            found[name] = pl.read_parquet(path).rows()
        elif path.name == "result.json":
            found[name] = read_json(path)["metrics"]
    return found


def next_kill(case: Case, root: Path, draw: random.Random, step_seconds: float, tail_seconds: float) -> Kill:
    """At a random step after the last checkpoint (or after the first, while there is none), and within what follows."""
    progress = sealed(Store(root).folder("training", planned(case)[0].id), MIDWAY)
    done = 0 if progress is None else progress["step"]
    finished = Store(root).finished("training", planned(case)[0].id)
    if finished or done == STEPS:
        return Kill(0, draw.uniform(0, tail_seconds))
    step = draw.randint(max(done + 1, EVERY), STEPS)
    return Kill(step, draw.uniform(0, tail_seconds if step == STEPS else 2 * step_seconds))


def measure(case: Case, kills: int, draw: random.Random, folder: Path) -> tuple[int, list[str]]:
    """How often it was killed, and the files that came out otherwise."""
    started = time.perf_counter()
    in_process(case, folder / "undisturbed")
    seconds = time.perf_counter() - started
    training = sealed(Store(folder / "undisturbed").folder("training", planned(case)[0].id))
    assert training is not None
    expected, different = contents(folder / "undisturbed"), []
    killed = rounds = 0
    while killed < kills and rounds < 10 * kills:
        root, rounds, before = folder / f"killed-{rounds}", rounds + 1, killed
        while killed < min(kills, before + KILLS):
            kill = next_kill(case, root, draw, training["seconds"] / STEPS, seconds - training["seconds"])
            if not in_process(case, root, kill):
                break
            killed += 1
        in_process(case, root)
        found = contents(root)
        different += [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    return killed, different


def main() -> None:
    """Kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    cases = [Case(*recipe, backbone) for backbone, recipe in product(BACKBONES, RECIPES)]
    draw, total, faults = random.Random(given.seed), 0, 0
    print("| recipe | base | backbone | kills | files that differ |")
    print("|---|---|---|---:|---:|")
    for number, case in enumerate(cases):
        quota = len(range(number, given.kills, len(cases)))
        if not quota:
            break
        with tempfile.TemporaryDirectory() as folder:
            killed, different = measure(case, quota, draw, Path(folder))
        total, faults = total + killed, faults + len(different)
        print(f"| {case.recipe} | {case.base} | {case.backbone} | {killed} | {len(different)} |", flush=True)
        for name in different:
            print(f"measure_kills: {case}: {name} differs", file=sys.stderr)
    print(f"\n{total} kills, {faults} files that differ")
    if faults or total < given.kills:
        sys.exit(1)


if __name__ == "__main__":
    main()
