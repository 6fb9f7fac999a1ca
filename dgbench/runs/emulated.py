"""Where a board computes in numbers that a device has no instructions for."""

from __future__ import annotations

from dgbench.core.cards import BoardCard


def emulated(board: BoardCard, device: str) -> str:
    """A sentence on what that means; empty where the device has them."""
    if board.training.precision == "float32":
        return ""
    import torch  # here, as a plan in float32 may do without

    from dgbench.train.environment import bfloat16, processor

    where = torch.device(device)
    if bfloat16(where):
        return ""
    called = torch.cuda.get_device_name(where) if where.type == "cuda" else processor() or "this processor"
    return (
        f"'{board.name}' computes in bfloat16, and {called} has no instructions for it: torch emulates them, many "
        "times slower than float32. An accelerator has them, or a processor with AVX-512 BF16 or AMX"
    )
