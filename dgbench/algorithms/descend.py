"""The step of a base optimizer, without what surrounds it.

A step of ``torch.optim`` passes hooks, opens a record for profilers and looks for its state, which takes longer than
the kernels of a head do. AdamW's function is called by itself on what the optimizer keeps: the bits are the same.
"""

from __future__ import annotations

from typing import Any

from dgbench.algorithms.later import torch


def descend(base: torch.optim.Optimizer) -> None:
    """What ``base.step()`` does."""
    from torch.optim.adamw import AdamW, adamw

    if type(base) is not AdamW or not all(_plain(base, group) for group in base.param_groups):
        base.step()
        return
    with torch.no_grad():
        for group in base.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            states = [base.state[p] for p in moved]
            means, squares, steps = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
            beta1, beta2 = group["betas"]
            adamw(
                moved, [p.grad for p in moved], means, squares, [], steps, fused=True, amsgrad=False, maximize=False,
                beta1=beta1, beta2=beta2, lr=group["lr"], weight_decay=group["weight_decay"], eps=group["eps"],
            )  # fmt: skip


def _plain(base: torch.optim.Optimizer, group: dict[str, Any]) -> bool:
    """Whether a group asks for nothing but what AdamW's fused kernel does, and its state is there."""
    asks = (group[name] for name in ("amsgrad", "maximize", "capturable", "differentiable"))
    return group["fused"] is True and not any(asks) and all(p in base.state for p in group["params"])
