"""A training that is killed at any instant ends, run again, with the same bits."""

import contextlib
import hashlib
import multiprocessing
import os
import random
import signal
import sys
import threading
from collections.abc import Iterable
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from dgbench.core.cards import PartChoice, RecipeSlots
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.train.spec import TrainingSpec
from small import small_board

CPU = torch.device("cpu")
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["dgbench.runs.execute"])
KILLS = 4


def _work(plan: Plan, root: Path, doomed: tuple[int, float] | None, told: SimpleQueue[int]) -> None:
    """Do the whole plan, and tell how many files were touched; or SIGKILL this process some seconds after one was.

    What counts is work and not the clock: on a busy machine a process would be killed before it has begun.
    """
    torch.set_num_threads(1)
    touched = 0

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal touched
        touched += event.partition(".")[0] in ("open", "os", "shutil") and str(root) in str(arguments[:1])
        if doomed is not None and touched == doomed[0]:
            touched += 1
            threading.Timer(doomed[1], os.kill, (os.getpid(), signal.SIGKILL)).start()

    sys.addaudithook(see)
    for training in plan.trainings.values():
        do_training(training, Store(root), CPU)
        do_runs(training, [run for run in plan.runs.values() if run.training == training.id], Store(root), CPU)
    told.put(touched)
    os._exit(0)


def _in_process(plan: Plan, root: Path, doomed: tuple[int, float] | None = None) -> tuple[int | None, int]:
    """How the process ended, and how many files it touched if it was left alone."""
    told: SimpleQueue[int] = SERVER.SimpleQueue()
    process = SERVER.Process(target=_work, args=(plan, root, doomed, told))
    process.start()
    process.join(120)
    return process.exitcode, 0 if told.empty() else told.get()


def _contents(root: Path) -> dict[str, str]:
    """A hash of every weight file and every table of predictions."""
    weights = {str(p.relative_to(root)): p.read_bytes() for p in root.glob("trainings/*/weights/*.safetensors")}
    tables = {
        str(p.relative_to(root)): pl.read_parquet(p).write_json().encode()
        for p in root.glob("runs/*/predictions.parquet")
    }
    return {name: hashlib.sha256(content).hexdigest() for name, content in (weights | tables).items()}


@pytest.mark.parametrize("algorithm", ["udim + ema", "pego + swad", "drm", "mixup + t3a"])
def test_sigkill_at_random_points_changes_no_bit(algorithm: str, tmp_path: Path) -> None:
    plan = make_plan(small_board(algorithm, steps=12))
    target = next(iter(plan.runs.values())).target
    plan.runs = {id_: run for id_, run in plan.runs.items() if run.target == target}
    plan.trainings = {run.training: plan.trainings[run.training] for run in plan.runs.values()}

    code, touched = _in_process(plan, tmp_path / "whole")
    assert code == 0
    assert touched > 50
    rng, killed = random.Random(algorithm), 0
    for _ in range(KILLS):
        doomed = rng.randint(1, touched // 3), rng.choice((0.0, rng.uniform(0, 0.05)))
        code, _ = _in_process(plan, tmp_path / "broken", doomed)
        killed += code == -signal.SIGKILL
    assert _in_process(plan, tmp_path / "broken")[0] == 0
    assert killed >= 2
    whole, broken = _contents(tmp_path / "whole"), _contents(tmp_path / "broken")
    assert len(whole) > 5
    assert whole == broken


class _StoppedError(Exception):
    pass


def _training(algorithm: str, backbone: str, steps: int = 9, base: str = "adamw") -> TrainingSpec:
    """With a checkpoint every three steps."""
    board = small_board(algorithm, backbone=backbone, steps=steps, checkpoints=steps // 3)
    board = board.model_copy(update={"defaults": RecipeSlots(optimizer=PartChoice(part=base))})
    return list(make_plan(board).trainings.values())[-1]


def _trained(training: TrainingSpec, root: Path, stops: Iterable[int] = ()) -> dict[str, Any]:
    """What is left of a training that was stopped after some steps, in turn, and gone on with each time."""
    store = Store(root)
    for stop in (*stops, None):

        def at(step: int, stop: int | None = stop) -> None:
            if step == stop:
                raise _StoppedError

        with contextlib.nullcontext() if stop is None else pytest.raises(_StoppedError):
            do_training(training, store, CPU, at)
    folder = store.folder("training", training.id)
    kept: dict[str, Any] = {path.name: path.read_bytes() for path in (folder / "weights").iterdir()}
    return kept | {"history": (folder / "history.parquet").read_bytes()}


SMALL = ("dgbench:convnet-small", "dgbench:vit-micro")
REAL = ("efficientnet-lite0(size=32)", "timm:test_resnet(size=32)", "timm:test_vit(size=32)")
RECIPES = (
    ("erm", "adamw"),
    ("erm", "sgd"),
    ("sam", "adamw"),
    ("sam(base=sgd)", "adamw"),
    ("asam", "adamw"),
    ("irm(warmup=0.5)", "adamw"),
    ("udim(sam_phase=0.5)", "adamw"),
)


@pytest.mark.parametrize(
    ("algorithm", "base", "backbone"),
    [(*recipe, backbone) for backbone in SMALL for recipe in RECIPES]
    + [(*recipe, backbone) for backbone in REAL for recipe in (RECIPES[0], RECIPES[-1])]
    + [("pego", "adamw", "dgbench:vit-micro")],
)
def test_a_training_stopped_after_every_step_changes_no_bit(
    algorithm: str, base: str, backbone: str, tmp_path: Path
) -> None:
    """Dense convolutions see several channels in these networks: a file's layout of their weights is not their own.

    UDIM goes back to a snapshot of weights and moments, IRM throws its moments away.
    """
    training = _training(algorithm, backbone, base=base)
    undisturbed = _trained(training, tmp_path / "whole")
    stopped = _trained(training, tmp_path / "broken", range(1, 10))
    assert len(undisturbed) == 2 * 3 + 3 + 1
    assert undisturbed.keys() == stopped.keys()
    assert [name for name in undisturbed if undisturbed[name] != stopped[name]] == []


def test_a_training_resumes_at_its_last_checkpoint(tmp_path: Path) -> None:
    """Nothing is done twice that a checkpoint holds."""
    training = next(iter(make_plan(small_board("erm", steps=8)).trainings.values()))
    store = Store(tmp_path)

    class KilledError(Exception):
        pass

    def stop(step: int) -> None:
        if step == 6:
            raise KilledError

    with pytest.raises(KilledError):
        do_training(training, store, CPU, stop)
    steps: list[int] = []
    told: list[tuple[int, list[int]]] = []
    do_training(
        training, store, CPU, steps.append, on_history=lambda step, rows: told.append((step, [r["step"] for r in rows]))
    )
    assert steps == [5, 6, 7, 8]
    sources = len(training.sources)
    assert told == [(4, [4] * sources), (8, [8] * sources)], "what was measured before, then what is new"
    assert not do_training(training, store, CPU, steps.append)
    assert not (store.folder("training", training.id) / "state").exists()
