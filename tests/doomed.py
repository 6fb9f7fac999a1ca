"""A process that does a plan, and may be killed on its way."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import called
import torch

from dgbench.core.processes import Pool, WorkerDiedError
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.plan import Plan
from dgbench.runs.store import Store


def do(plan: Plan, root: Path, doomed: tuple[int, float] | None = None) -> int | None:
    """Do it all in a process of its own, which ends by SIGKILL so many seconds after so many files were touched.

    Returns:
        How many it touched; nothing if it was killed.
    """
    with Pool(1, called.nothing, "cpu") as pool:
        done = pool.submit(_work, plan, root, doomed)
        died = done.exception(120)
    if died is None:
        return done.result()
    assert isinstance(died, WorkerDiedError), died
    assert "SIGKILL" in str(died)
    return None


def _work(plan: Plan, root: Path, doomed: tuple[int, float] | None) -> int:
    """What counts is work and not the clock: on a busy machine a process would be killed before it has begun."""
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
        runs = [run for run in plan.runs.values() if run.training == training.id]
        do_training(training, Store(root), torch.device("cpu"))
        do_runs(training, runs, Store(root), torch.device("cpu"))
    return touched
