"""What a machine computes with, as results note it: bits are the same where all of it is."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PACKAGES = ("numpy", "scipy", "pillow", "torchvision", "timm", "open_clip_torch", "safetensors")
"""Those that images, networks and numbers go through."""
CPUINFO = Path("/proc/cpuinfo")
UNITS = ("amx_bf16", "avx512_bf16", "bf16")
"""Parts of a processor that multiply bfloat16 numbers, by the flags that Linux has for them; the last is ARM's."""


def environment(device: torch.device) -> dict[str, str]:
    """Python, the system, the processor and its vector units, what multiplies bfloat16, threads, the accelerator, and
    versions of packages.

    Args:
        device: What computes. What a name has no value for on this machine has an empty text.
    """
    import torch  # here, as a plan asks for the processor alone

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": bfloat16(device.type) or "emulated",
        "threads": str(torch.get_num_threads()),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        **{name: _version(name) for name in PACKAGES},
    }


def bfloat16(device: str) -> str:
    """What multiplies bfloat16 numbers on a kind of device; empty where torch only emulates it, many times slower."""
    if device == "cuda":
        import torch

        return "tensor cores" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
    if device == "mps":
        return "Metal"
    flags = (_told("flags") or _told("Features")).split()  # as x86 and ARM call them
    return next((unit for unit in UNITS if unit in flags), "")


def processor() -> str:
    """Its model, where the system tells it."""
    return _told("model name") or platform.processor()


@cache
def _told(name: str) -> str:
    """What the system tells of the first processor; empty where it tells nothing."""
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            found, _, value = line.partition(":")
            if found.strip() == name:
                return " ".join(value.split())
    return ""


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
