"""Where the numbers of a tensor lie in memory.

Networks here keep their channels last, and a file keeps tensors row by row. PyTorch's fused optimizers walk a weight,
its gradient and its moments side by side through memory, and on the CPU they never look at strides: a moment that was
loaded as it lies in a file belongs to *other weights*, and nothing says so. Hence two rules: what is loaded takes the
layout of its weight, and what shares a walk with a weight is checked, after a load and at every checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dgbench.core.errors import DGBenchError


def laid_out_like(weight: Tensor, tensor: Tensor) -> Tensor:
    """A copy of ``tensor`` in the memory layout of ``weight``; where shapes differ (a counter), a plain copy."""
    if tensor.shape != weight.shape:
        return tensor.clone()
    return torch.empty_like(weight, dtype=tensor.dtype).copy_(tensor)


def same_layout(a: Tensor, b: Tensor) -> bool:
    """Whether equal places of two tensors of one shape lie equally far apart; a side of length 1 has no distance."""
    if a.stride() == b.stride():
        return True
    return all(p == q for n, p, q in zip(a.shape, a.stride(), b.stride(), strict=True) if n > 1)


def check_layouts(weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    """That gradients and all that an optimizer keeps lie in memory as their weights do.

    Args:
        weights: What the optimizer descends in, by name.
        optimizer: Before, after or between its steps.

    Raises:
        DGBenchError: something lies otherwise; it names the weight.
    """
    for name, weight in weights.items():
        for what, tensor in [("grad", weight.grad), *optimizer.state.get(weight, {}).items()]:
            if isinstance(tensor, Tensor) and tensor.shape == weight.shape:
                check_layout(f"{name}: {what}", weight, tensor)


def check_layout(what: str, weight: Tensor, tensor: Tensor) -> None:
    """That ``tensor``, of the shape of ``weight``, lies in memory as it does.

    Raises:
        DGBenchError: it lies otherwise.
    """
    if not same_layout(weight, tensor):
        raise DGBenchError(
            f"{what} has the strides {tensor.stride()}, its weight {weight.stride()}: fused optimizers would mix "
            "weights up; copy it into torch.empty_like(weight)"
        )
