"""The processes that take each step of a training together: who starts them, where they meet, and how they end.

The worker that does the training starts the others when it has read what there is to go on from, and takes them down
with itself. They meet by a file in a folder that only this user can open. A process that dies ends the exchange that
the others wait in, and so the training: an error, not a silence.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist

from dgbench.core.elsewhere import trusted
from dgbench.core.errors import DGBenchError
from dgbench.core.processes import Pool
from dgbench.core.worker import GRACE
from dgbench.runs.deterministic import ready
from dgbench.runs.parts import parts_of
from dgbench.runs.setting import Setting
from dgbench.runs.store import Store
from dgbench.train.division import Division
from dgbench.train.exchange import GoneError
from dgbench.train.loop import begun
from dgbench.train.sibling import Sibling
from dgbench.train.spec import TrainingSpec

PATIENCE = timedelta(minutes=10)
"""How long a process waits for another one, which may validate, write, or read from a slow disk meanwhile."""
_LOOK = 0.25
"""Seconds between two looks at whether a process that is to come has failed."""


@contextmanager
def siblings(setting: Setting, folder: Path, division: Division) -> Iterator[None]:
    """Inside, the other processes of a training are there, each on a device of its own where there are several.

    Args:
        setting: Of the training.
        folder: The training's own, with what there is to go on from.
        division: With rank 0, which this process has.

    Raises:
        WorkerDiedError: one of them died.
        DGBenchError: there are fewer devices than processes.
    """
    ranks = range(1, division.processes)
    kind, built = setting.device.type, queue.SimpleQueue[int]()
    with TemporaryDirectory(prefix="dgbench-") as room, Pool(len(ranks), ready, kind, trusted()) as pool:
        place = Path(room) / "meet"
        calls = [
            pool.submit(
                follow,
                *(
                    setting.spec,
                    setting.store.root,
                    folder,
                    str(device_of(setting.device, rank)),
                    setting.checkpointing,
                ),
                *(replace(division, rank=rank), place),
                tell=built.put,
            )
            for rank in ranks
        ]
        _await(calls, built)
        try:
            with met(place, division, setting.device):
                yield
        except GoneError as error:
            raise _cause(calls, error) from error
        for call in calls:
            call.result()


def follow(
    spec: TrainingSpec,
    root: Path,
    folder: Path,
    device: str,
    checkpointing: bool,
    division: Division,
    place: Path,
    tell: Callable[[int], None],
) -> None:
    """Take the steps of a training beside the process that does it.

    Args:
        spec, root, folder, device, checkpointing: The training, the store, the training's folder, where it is computed,
            and whether memory is saved.
        division: Which of the processes this is.
        place: Where they meet.
        tell: Is called with the rank before that.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends with the process that it follows, which is told, too
    parts, where = parts_of(spec), torch.device(device)
    setting = Setting(spec, parts, Store(root), where, checkpointing=checkpointing)
    network, sources = setting.initial_network(), setting.sources_to_train()
    run = begun(spec, parts, network, sources, folder, (), said=setting.said("objective"), division=division)
    assert isinstance(run, Sibling)
    tell(division.rank)
    with met(place, division, where):
        run.carry_on()


@contextmanager
def met(place: Path, division: Division, device: torch.device) -> Iterator[None]:
    """Inside, the processes of a training can exchange tensors on their devices.

    Args:
        place: A file, not there yet, that all of them name.
        division: How many there are, and which this is.
        device: Of this process: NCCL exchanges on CUDA, Gloo on the CPU.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    elif (loopback := next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)) is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)  # nobody outside the machine is listened to
    backend = "nccl" if device.type == "cuda" else "gloo"
    store = dist.FileStore(str(place), division.processes)  # type: ignore[attr-defined]  # documented as public
    dist.init_process_group(backend, store=store, rank=division.rank, world_size=division.processes, timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def device_of(first: torch.device, rank: int) -> torch.device:
    """The device of a process of a training whose first one has ``first``: those that come next, where there are more.

    Raises:
        DGBenchError: there are not so many.
    """
    if first.type != "cuda":
        return first
    place, there = (
        (torch.cuda.current_device() if first.index is None else first.index) + rank,
        torch.cuda.device_count(),
    )
    if place >= there:
        raise DGBenchError(
            f"a training that begins at cuda:{place - rank} needs cuda:{place} for its process {rank + 1}, and this "
            f"machine has {there} such devices; take fewer processes (--processes-per-training)"
        )
    return torch.device("cuda", place)


def _await(calls: Sequence[Future[None]], built: queue.SimpleQueue[int]) -> None:
    """Wait until all processes have built their networks; one that cannot says why."""
    missing = len(calls)
    while missing:
        try:
            built.get(timeout=_LOOK)
            missing -= 1
        except queue.Empty:
            for call in calls:
                if call.done():
                    call.result()


def _cause(calls: Sequence[Future[None]], error: GoneError) -> BaseException:
    """Why another process of a training is gone, as it says itself, or whoever saw it die."""
    wait(calls, GRACE)
    found = (call.exception() for call in calls if call.done())
    return next((one for one in found if one is not None and not isinstance(one, GoneError)), error)
