"""Steps that go past what surrounds an optimizer's kernels leave what the optimizer leaves."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from dgbench.algorithms.descend import descend
from dgbench.core.recipe import build_part

Build = Callable[[Sequence[Tensor]], torch.optim.Optimizer]


def _part(name: str, **given: Any) -> Build:
    return build_part("optimizer", name, given, "test").build  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "build",
    [
        _part("adamw", weight_decay=0.1),
        _part("adamw", momentum=0.5),
        _part("sgd", weight_decay=0.1),
        _part("sam", base="adamw"),
        lambda parameters: torch.optim.AdamW(parameters, fused=True, amsgrad=True),
        lambda parameters: torch.optim.AdamW(parameters, fused=True, maximize=True),
        lambda parameters: torch.optim.AdamW(parameters, foreach=True),
        lambda parameters: torch.optim.AdamW(
            [{"params": parameters[:1], "weight_decay": 0.0}, {"params": parameters[1:]}], fused=True
        ),
    ],
)
def test_weights_and_state_are_those_of_the_optimizers_own_step(build: Build) -> None:
    """To the bit, with rates that change and a gradient that is missing at times."""
    torch.manual_seed(0)
    start = [torch.randn(3, 5), torch.randn(3)]
    sides = [[tensor.clone().requires_grad_() for tensor in start] for _ in range(2)]
    bases = [build(side) for side in sides]
    for step in range(6):
        gradients = [torch.randn(3, 5), None if step % 2 else torch.randn(3)]
        for side, base in zip(sides, bases, strict=True):
            for parameter, gradient in zip(side, gradients, strict=True):
                parameter.grad = None if gradient is None else gradient.clone()
            for group in base.param_groups:
                group["lr"] = 0.1 / (step + 1)
        bases[0].step()
        descend(bases[1])
    kept = [[base.state[parameter] for parameter in side] for side, base in zip(sides, bases, strict=True)]
    assert not torch.equal(sides[0][0], start[0])
    for there, here in zip(*sides, strict=True):
        assert torch.equal(there, here)
    for there, here in zip(*kept, strict=True):
        assert there.keys() == here.keys()
        assert all(there[name] is None or torch.equal(there[name], here[name]) for name in there)
