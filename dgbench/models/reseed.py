"""Seeding torch's global generators, from which initial weights and dropout are drawn."""

from __future__ import annotations

import torch

CPU = torch.device("cpu")


def reseed(number: int, device: torch.device = CPU) -> None:
    """Seed what draws on the CPU, and on a device.

    ``torch.manual_seed`` sees to all kinds of devices, and notes from where it was called for those that are not there:
    a fiftieth of a small step.
    """
    torch.default_generator.manual_seed(number)
    if device.type not in ("cpu", "meta"):
        torch.get_device_module(device).manual_seed(number)
