"""Where a board computes in numbers that a device has no instructions for."""

from __future__ import annotations

from dgbench.core.cards import BoardCard
from dgbench.train.environment import bfloat16, processor


def emulated(board: BoardCard, device: str) -> str:
    """A sentence on what that means; empty where the device has them."""
    if board.training.precision == "float32" or bfloat16(device):
        return ""
    return (
        f"'{board.name}' computes in bfloat16, and {_called(device)} has no instructions for it: torch emulates them, "
        "many times slower than float32. An accelerator has them, or a processor with AVX-512 BF16 or AMX"
    )


def _called(device: str) -> str:
    if device == "cuda":
        import torch  # here, as a plan for the CPU may do without

        return torch.cuda.get_device_name()
    return processor() or "this processor"
