"""Carrying out a plan in a pool of local processes.

A unit of work is one training with the runs that come from it. Units start when the trainings they build on are
finished. What another process already works on is put off, not done twice.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DamagedError, DGBenchError
from dgbench.core.processes import cores, serve
from dgbench.data.catalogue import load
from dgbench.data.locate import locate
from dgbench.models.backbones import UNKNOWN
from dgbench.runs.plan import Plan, RunSpec
from dgbench.runs.progress import Progress, Silent
from dgbench.runs.store import INDEX, BusyError, Kind, Store
from dgbench.train.spec import TrainingSpec

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
MENDED = 2
"""How often a piece of work that is found damaged is done again."""
PATIENCE = 0.25
"""Seconds to wait before asking again for work that another process has."""
WAKE = 0.5
"""Seconds between two looks at what else there is to do while units are at work."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unit:
    """One training and the runs that come from it; ``checkpointing`` saves memory and changes no number."""

    training: TrainingSpec
    runs: tuple[RunSpec, ...]
    checkpointing: bool = False

    def needs(self) -> tuple[str, ...]:
        """Trainings that this one starts from."""
        return self.training.starts_from()


@dataclass(frozen=True)
class Outcome:
    """What a unit came to: how much was done, or that it must be taken up again, or why it failed.

    It is taken up again when a piece of its work is another process's at the moment (``busy``), or when a piece that it
    reads turned out damaged and was set aside (``lost``: its kind and id).
    """

    trainings: int = 0
    runs: int = 0
    busy: bool = False
    lost: tuple[Kind, str] | None = None
    error: str | None = None


@dataclass(frozen=True)
class Summary:
    """What carrying out a plan came to."""

    trainings: int
    runs: int
    seconds: float
    failed: dict[str, str]


def launch(
    plan: Plan,
    store: Store,
    *,
    device: DeviceName = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Carry out what is missing of a plan, and list its runs as the board's.

    Args:
        plan: What is to be there.
        store: Where it is kept.
        device: ``auto`` takes an accelerator where there is one.
        workers: Processes; by default one for each CPU core, or one where an accelerator does the work.
        progress: Is told what happens.

    Raises:
        DataError: a dataset of the board is not on this machine.
    """
    for name in plan.absent:
        locate(dataset_card(name))
    for name, known in plan.starts.items():
        if known.weights == UNKNOWN:
            raise DGBenchError(
                f"the weights of '{name}' were not on this machine when this was planned; plan with fetch=True"
            )
    for idle in plan.idle():
        log.warning("%s", idle)
    started = time.perf_counter()
    store.clear()
    store.write_index(plan.board, index(plan))
    runs: dict[str, list[RunSpec]] = {id_: [] for id_ in plan.trainings}
    for run in plan.runs.values():
        if not store.intact("run", run.id):  # nobody reads the predictions of a finished run, so they are read here
            runs[run.training].append(run)
    unfinished = {id_ for id_ in plan.trainings if not store.finished("training", id_)}
    units = [_unit(plan, id_, todo) for id_, todo in runs.items() if todo or id_ in unfinished]
    where = resolve_device(device)
    if not units:
        return Summary(0, 0, time.perf_counter() - started, {})
    workers = min(workers or default_workers(where), len(units))
    progress = progress or Silent()
    for name, size in sorted({(unit.training.dataset, unit.training.size) for unit in units}):
        load(name, size, progress=partial(progress.reading, name))  # here, so that no worker waits for another
    progress.start(len(unfinished), sum(len(unit.runs) for unit in units))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _set_up, (where,)) as pool:
        try:
            summary = _drain(units, unfinished, plan, pool, workers, store, where, progress)
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            progress.stop()
    return Summary(*summary[:2], time.perf_counter() - started, summary[2])


def _drain(
    units: list[Unit],
    unfinished: set[str],
    plan: Plan,
    pool: ProcessPoolExecutor,
    workers: int,
    store: Store,
    device: str,
    progress: Progress,
) -> tuple[int, int, dict[str, str]]:
    waiting = deque(sorted(units, key=lambda unit: len(unit.needs())))
    running: dict[Future[Outcome], Unit] = {}
    failed: dict[str, str] = {}
    lost: Counter[tuple[Kind, str]] = Counter()
    trainings = done_runs = 0
    while waiting or running:
        progress.running(len(running))
        for _ in range(len(waiting)):
            if len(running) >= workers:
                break
            unit = waiting.popleft()
            broken = [need for need in unit.needs() if need in failed and need in unfinished]
            if broken:
                failed[unit.training.id] = f"training {broken[0]}, which it starts from, failed"
            elif any(need in unfinished for need in unit.needs()):
                waiting.append(unit)
            else:
                running[pool.submit(work, unit, store.root, device)] = unit
        if not running:
            continue
        progress.running(len(running))
        # Waking now and then lets Ctrl-C through: with polars in the process a signal does not end the wait.
        finished, _ = wait(running, timeout=WAKE, return_when=FIRST_COMPLETED)
        for future in finished:
            unit = running.pop(future)
            try:
                outcome = future.result()
            except BrokenProcessPool as error:
                raise DGBenchError(
                    f"a worker process died during training {unit.training.id} (out of memory, or killed); "
                    "what is finished is kept, so run again, with fewer workers if memory is short"
                ) from error
            if outcome.busy:
                waiting.append(unit)
                time.sleep(PATIENCE)
                continue
            if (piece := outcome.lost) is not None:
                lost[piece] += 1
                if lost[piece] > MENDED:
                    outcome = Outcome(error=f"{' '.join(piece)} is damaged again and again; is the disk sound?")
                else:
                    waiting.append(unit)
                    _redo(piece, plan, unfinished, waiting)
                    continue
            if outcome.error is not None:
                failed[unit.training.id] = outcome.error
                log.error("training %s: %s", unit.training.id, outcome.error)
            was_unfinished = unit.training.id in unfinished
            if store.finished("training", unit.training.id):
                unfinished.discard(unit.training.id)
            trainings, done_runs = trainings + outcome.trainings, done_runs + outcome.runs
            progress.advance(int(was_unfinished), len(unit.runs), unit)
    return trainings, done_runs, failed


def _redo(lost: tuple[Kind, str], plan: Plan, unfinished: set[str], waiting: deque[Unit]) -> None:
    """Have a training that was lost done again, before what starts from it; other pieces are made by who needs them."""
    kind, id_ = lost
    if kind != "training":
        return
    unfinished.add(id_)
    if all(unit.training.id != id_ for unit in waiting):
        waiting.appendleft(_unit(plan, id_))


def _unit(plan: Plan, id_: str, runs: Sequence[RunSpec] = ()) -> Unit:
    training = plan.trainings[id_]
    lean = {start.backbone for start in plan.starts.values() if start.checkpointing}
    return Unit(training, tuple(runs), training.backbone in lean)


def default_workers(device: str) -> int:
    """One for each CPU core that this process may use; one where an accelerator does the work."""
    return cores() if device == "cpu" else 1


def _set_up(device: str) -> None:
    """Ready a worker, with deterministic kernels where torch has them.

    On the CPU a worker has one thread, however many cores there are: the order in which torch sums depends on the
    number of threads, and results must not depend on the machine's size or on ``workers``.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, matrix products on CUDA may vary
    serve()
    if device == "cpu":
        torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")


def work(unit: Unit, root: Path, device: str) -> Outcome:
    """Do a unit in this process."""
    import torch

    from dgbench.runs.execute import do_runs, do_training

    store = Store(root)
    try:
        trained = do_training(unit.training, store, torch.device(device), checkpointing=unit.checkpointing)
        runs = do_runs(unit.training, unit.runs, store, torch.device(device)) if unit.runs else 0
    except BusyError:
        return Outcome(busy=True)
    except DamagedError as error:
        return _set_aside(error, store)
    except DGBenchError as error:
        return Outcome(error=str(error))
    except Exception as error:  # a part of somebody else's may raise anything; one failure must not stop the others
        log.exception("training %s", unit.training.id)
        return Outcome(error=f"{type(error).__name__}: {error}")
    return Outcome(int(trained), runs)


def _set_aside(error: DamagedError, store: Store) -> Outcome:
    try:
        return Outcome(lost=store.mend_after(error))
    except BusyError:  # another process found it, too, and does it again
        return Outcome(busy=True)


def resolve_device(name: DeviceName) -> str:
    """The device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        DGBenchError: that device is not there.
    """
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        available = ", ".join(device for device, here in there.items() if here)
        raise DGBenchError(f"device '{name}' is not there; this machine has {available}")
    return name


def index(plan: Plan) -> dict[str, object]:
    """The runs of a board, as plain JSON: enough to collect its results without torch."""
    return {
        "schema": INDEX,
        "manifests": {name: known.manifest for name, known in plan.datasets.items()},
        "cases": [case.name for case in plan.cases],
        "entries": [entry.row() for entry in plan.entries],
    }
