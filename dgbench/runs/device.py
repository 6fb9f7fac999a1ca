"""Where networks run, and how many processes are at work there."""

from __future__ import annotations

import ctypes
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from dgbench.core.errors import DGBenchError
from dgbench.core.processes import cores

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
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


def default_workers(device: str) -> int:
    """One for each CPU core that this process may use; one where an accelerator does the work."""
    return cores() if device == "cpu" else 1
