"""What a machine computes with, as results note it: bits are the same where all of it is."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = ("numpy", "scipy", "pillow", "torchvision", "kornia", "timm", "open_clip_torch", "safetensors")
"""Those that images, networks and numbers go through."""


def environment(device: torch.device) -> dict[str, str]:
    """Python, the system, the processor and its vector units, threads, the accelerator, and versions of packages.

    Args:
        device: What computes. What a name has no value for on this machine has an empty text.
    """
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        **{name: _version(name) for name in PACKAGES},
    }


@cache
def _processor() -> str:
    """Its model, where the system tells it."""
    told = Path("/proc/cpuinfo")
    if told.is_file():
        for line in told.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor()


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
