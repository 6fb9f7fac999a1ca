"""Where networks run, and how many processes are at work there."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

from dgbench.core.errors import DGBenchError, did_you_mean, shown
from dgbench.core.processes import cores

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Devices = str
"""A :data:`DeviceName`, which are all that there are of a kind, or some of a kind by number: ``cuda:0,2``."""
PER_CARD = 4
"""Processes for each accelerator, by default: a few small trainings keep one busy that one alone does not."""
NODES = (Path("/dev/kfd"), Path("/dev/dxg"))
"""What Linux has where there may be an accelerator of AMD, or one that Windows lends."""


def resolve_device(name: DeviceName) -> str:
    """The device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        DGBenchError: that device is not there.
    """
    if name == "cpu" or (name == "auto" and _no_accelerator()):
        return "cpu"
    import torch  # here, as it need not be asked where there can be none

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, here in there.items() if here)
    if not there[name]:
        available = ", ".join(device for device, here in sorted(there.items()) if here)
        raise DGBenchError(f"device '{name}' is not there; this machine has {available}")
    return name


def _no_accelerator() -> bool:
    """Whether torch can have none for certain, which costs less to find out than to import it.

    On Linux it is so where torch was built for the CPU alone, or where the driver that it opens is missing.
    """
    if sys.platform != "linux":
        return False
    if version("torch").endswith("+cpu"):
        return True
    return not any(node.exists() for node in NODES) and not _opens("libcuda.so.1")


def _opens(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def resolve_devices(names: Devices) -> tuple[str, ...]:
    """The devices of this machine that a name stands for, each once, as torch calls them.

    ``auto`` and ``cuda`` are all CUDA devices that this process sees (``CUDA_VISIBLE_DEVICES``); ``cuda:0,2``, or
    ``cuda:0,cuda:2``, are two of them. A kind that has one device alone is that: ``cpu``, ``mps``.

    Raises:
        DGBenchError: one of them is not there, or the name cannot be read.
    """
    found = _numbered(names) if ":" in names else _all(resolve_device(_known(names)))
    return tuple(dict.fromkeys(found))


def kind_of(device: str) -> str:
    """``cuda`` of ``cuda:1``."""
    return device.partition(":")[0]


def _known(name: str) -> DeviceName:
    for known in get_args(DeviceName):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise DGBenchError(f"device: there is no {shown(name)}.{did_you_mean(name, [*get_args(DeviceName), 'cuda:0,1'])}")


def _all(kind: str) -> list[str]:
    count = _count(kind)
    return [kind] if count == 1 else [f"{kind}:{number}" for number in range(count)]


def _numbered(names: str) -> list[str]:
    """``cuda:0,2`` or ``cuda:0,cuda:2``."""
    kind, found = kind_of(names), []
    resolve_device(_known(kind))
    for part in names.split(","):
        number = part.strip().removeprefix(f"{kind}:")
        if not number.isdecimal():
            raise DGBenchError(f"device: {shown(names)} is none; write numbers of one kind, as in 'cuda:0,2'")
        if int(number) >= _count(kind):
            there = ", ".join(f"'{kind}:{number}'" for number in range(_count(kind)))
            raise DGBenchError(f"device '{kind}:{int(number)}' is not there; this machine has {there}")
        found.append(f"{kind}:{int(number)}")
    return found


def _count(kind: str) -> int:
    """How many devices of a kind that is there this process sees."""
    if kind != "cuda":
        return 1
    import torch

    return torch.cuda.device_count()


def default_workers(devices: Sequence[str]) -> int:
    """One for each CPU core that this process may use; but no more than a few for each accelerator that does the work,
    and one at least."""
    if kind_of(devices[0]) == "cpu":
        return cores()
    return max(len(devices), min(cores(), len(devices) * (PER_CARD if kind_of(devices[0]) == "cuda" else 1)))


def at_once(devices: Sequence[str], workers: int) -> int:
    """How many networks compute beside each other as fast as one alone: processes on one accelerator share it."""
    return workers if kind_of(devices[0]) == "cpu" else min(workers, len(devices))


def accelerator(kind: str) -> str:
    """What accelerators are called whose memory is shared out; empty where none is, as of the CPU and of MPS."""
    if kind != "cuda":
        return ""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "GPUs elsewhere"


def memory_taken(device: str) -> float | None:
    """The share of an accelerator's memory that is taken by now, by whomever; None where it has none of its own.

    torch keeps what it once had for later, so after a job that is the most that the job has taken.
    """
    if kind_of(device) != "cuda":
        return None
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return 1 - free / total


def give_memory_back(device: str) -> None:
    """Leave memory that nothing uses now to others on the accelerator."""
    if kind_of(device) == "cuda":
        import torch

        torch.cuda.empty_cache()
