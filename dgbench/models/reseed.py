"""Seeding torch's global generators, from which initial weights and dropout are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def reseed(number: int, device: torch.device | None = None) -> None:
    """Seed what draws on the CPU, and on the current device of a kind.

    ``torch.manual_seed`` sees to all kinds of devices, and notes from where it was called for those that are not there:
    a fiftieth of a small step.
    """
    import torch  # a plan does without

    torch.default_generator.manual_seed(number)
    if device is not None and device.type not in ("cpu", "meta"):
        torch.get_device_module(device).manual_seed(number)
