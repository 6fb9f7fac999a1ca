"""From the host to the device."""

from __future__ import annotations

import torch
from torch import Tensor


def sent(x: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU's on the device, without waiting for what the device has to do before.

    A copy goes on beside the host's work only from pinned memory, which torch keeps until the copy is done.
    """
    if device.type == "cuda":
        x = x.pin_memory()
    return x.to(device, non_blocking=True)
