"""The step of a base optimizer, without what surrounds it.

A step of ``torch.optim`` passes hooks, opens a record for profilers and looks for its state, which takes longer than
the kernels of a head do. AdamW's function is called by itself on what the optimizer keeps: the bits are the same.
Nor is torch's compiler imported then, which takes three seconds of each process, and compiles nothing here.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from dgbench.algorithms.later import Tensor, torch


@cache
def adamw() -> type[torch.optim.AdamW]:
    """torch's AdamW, without the marks on its methods that tell the compiler to pass over them, and so import it."""
    from torch.optim import AdamW

    marked = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    return type("AdamW", (AdamW,), {name: inspect.unwrap(getattr(AdamW, name)) for name in marked})


def descend(base: torch.optim.Optimizer) -> None:
    """What ``base.step()`` does."""
    from torch.optim.adamw import AdamW
    from torch.optim.adamw import adamw as function

    if type(base) not in (AdamW, adamw()) or not all(_plain(group) for group in base.param_groups):
        base.step()
        return
    with torch.no_grad():
        for group in base.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            states = [base.state[p] or _begun(base, p) for p in moved]
            means, squares, steps = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
            beta1, beta2 = group["betas"]
            function(
                moved, [p.grad for p in moved], means, squares, [], steps, fused=True, amsgrad=False, maximize=False,
                beta1=beta1, beta2=beta2, lr=group["lr"], weight_decay=group["weight_decay"], eps=group["eps"],
            )  # fmt: skip


def _plain(group: dict[str, Any]) -> bool:
    """Whether a group asks for nothing but what AdamW's fused kernel does."""
    return group["fused"] is True and not any(
        group[name] for name in ("amsgrad", "maximize", "capturable", "differentiable")
    )


def _begun(base: torch.optim.Optimizer, weight: Tensor) -> dict[str, Tensor]:
    """What an optimizer keeps of a weight before its first step."""
    zeros = {"step": torch.zeros((), dtype=torch.float32, device=weight.device)}
    zeros |= {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
    base.state[weight] = zeros
    return zeros
