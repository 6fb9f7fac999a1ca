"""Doing one piece of a plan: a training, and the runs that come from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from dgbench.core.errors import RecipeError
from dgbench.core.files import whole, write_json
from dgbench.core.memory import keeping_large_blocks
from dgbench.core.pieces import pieces
from dgbench.core.provenance import revision
from dgbench.core.results import RESULT, Result
from dgbench.core.seals import seal
from dgbench.core.spec import canonical
from dgbench.runs.dividing import divides
from dgbench.runs.finished import WEIGHTS
from dgbench.runs.merging import merge
from dgbench.runs.parts import parts_of
from dgbench.runs.plan import RunSpec
from dgbench.runs.predict import Bench
from dgbench.runs.setting import Setting
from dgbench.runs.siblings import siblings
from dgbench.runs.store import BusyError, Store
from dgbench.runs.untrained import leave
from dgbench.runs.weighed import weighed
from dgbench.selection.predictions import summarise
from dgbench.train.division import WHOLE, Division
from dgbench.train.ending import History, cost
from dgbench.train.environment import environment
from dgbench.train.loop import begun, train
from dgbench.train.sources import Sources
from dgbench.train.spec import TrainingSpec
from dgbench.train.together import pause as between_states
from dgbench.train.together import train_together
from dgbench.train.training import Training


def do_training(
    spec: TrainingSpec,
    store: Store,
    device: torch.device,
    on_step: Callable[[int], None] = lambda step: None,
    *,
    keep: Collection[str] | None = None,
    enough: Callable[[frozenset[str]], bool] = lambda pieces: True,
    checkpointing: bool = False,
    on_history: Callable[[int, History], None] = lambda step, rows: None,
    pause: float = 0.0,
    division: Division = WHOLE,
) -> bool:
    """Do a training, merge trainings or leave a model as it is, unless that is finished; True if there was work to do.

    Args:
        spec, store, device: What, for where, on what.
        on_step: Called with the number of steps done.
        keep: The pieces of its way that are written, by the names of :mod:`dgbench.core.pieces`; by default all.
        enough: Whether the pieces that a finished training holds are enough; else it is done again for others.
        checkpointing: Saves memory and changes no number.
        on_history, pause: As for :func:`dgbench.train.loop.train`.
        division: What its steps are divided into, if images go through a network in them.

    Raises:
        BusyError: another process is doing it.
        DGBenchError: it cannot be done.
    """
    with store.claim("training", spec.spec(), lambda note: enough(pieces(note["files"]))) as folder:
        if folder is None:
            return False
        parts = parts_of(spec)
        setting = Setting(spec, parts, store, device, checkpointing=checkpointing)
        if spec.merged is not None:
            merge(setting, folder)
        elif not spec.steps:
            leave(setting, folder)
        else:
            network, sources = setting.initial_network(), setting.sources_to_train()
            division = division if divides(spec) else WHOLE
            train(
                *(spec, parts, network, sources, folder, on_step, keep, on_history, setting.said("objective"), pause),
                division=division,
                company=siblings(setting, folder, division) if division.processes > 1 else None,
            )
        return True


@dataclass(frozen=True)
class Wanted:
    """A training, and what is wanted of it.

    Attributes:
        training: The training.
        keep, enough: As for :func:`do_training`.
    """

    training: TrainingSpec
    keep: Collection[str]
    enough: Callable[[frozenset[str]], bool]


def do_together(
    wanted: Sequence[Wanted],
    store: Store,
    device: torch.device,
    on_step: Callable[[int], None] = lambda step: None,
    on_history: Callable[[str, int, History], None] = lambda training, step, rows: None,
) -> int:
    """Do trainings of heads on the same features side by side; how many were done.

    What is finished, or another process is at, is left out. One that fails leaves the others as they are, and what it
    has kept: whoever does it alone meets the same error.

    Args:
        wanted: Trainings that differ in objective, optimizer and what their heads start from, at most.
        store, device: For where, on what.
        on_step, on_history: As for :func:`dgbench.train.together.train_together`.

    Raises:
        DGBenchError: none of them can be done.
    """
    with ExitStack() as claims:
        trainings: list[Training] = []
        sources: Sources | None = None
        for one in wanted:
            spec, enough = one.training, one.enough
            try:
                folder = claims.enter_context(
                    store.claim("training", spec.spec(), lambda note, e=enough: e(pieces(note["files"])))  # type: ignore[misc]
                )
            except BusyError:
                continue
            if folder is not None:
                parts = parts_of(spec)
                setting = Setting(spec, parts, store, device)
                sources = sources or setting.sources_to_train()
                network, said = setting.initial_network(), setting.said("objective")
                trainings.append(begun(spec, parts, network, sources, folder, one.keep, between_states(), said))
        if not trainings:
            return 0
        return len(trainings) - len(train_together(trainings, on_step, on_history))


@keeping_large_blocks()
def do_runs(training: TrainingSpec, runs: Sequence[RunSpec], store: Store, device: torch.device) -> int:
    """Do those runs of a finished training that are not finished; how many there were.

    Runs that predict with the same weights share their features.

    Raises:
        BusyError: another process is doing one of them.
        DamagedError: weights or features that they need are not what was written.
        StoreError: what they predict is no number.
    """
    done = 0
    targets = {run.target for run in runs}
    if targets & set(training.sources):
        raise RecipeError(f"a target domain of training {training.id} is among its sources: {targets}")
    left = [run for run in runs if not store.finished("run", run.id)]
    if not left:  # another process did them, and may have let go of the weights since
        return 0
    bench = Bench(training, store, device)
    for run in sorted(left, key=lambda run: canonical(run.averaging)):
        with store.claim("run", run.spec()) as folder:
            if folder is None:
                continue
            clock = time.perf_counter()
            table = bench.predict(run)
            with whole(folder / "predictions.parquet") as temporary:
                table.write_parquet(temporary, compression="zstd")
            if run.weighs:
                with whole(folder / WEIGHTS) as temporary:
                    weighed(bench, run).write_parquet(temporary)
            write_json(folder / "result.json", RESULT.dump(Result.measured(summarise(table).to_dicts())))
            seconds = round(time.perf_counter() - clock, 3)
            made = {
                "ended": int(time.time()),
                "torch": torch.__version__,
                "dgbench": revision(),
                "environment": environment(device),
            }
            seal(folder, {"seconds": seconds, "device": device.type, **cost(device), **made})
            done += 1
    return done
