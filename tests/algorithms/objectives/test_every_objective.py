"""What holds for every objective in the registry."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Closure
from dgbench.core import registry
from dgbench.models.network import Backbone, Network

CLASSES, DOMAINS, EACH = 3, 3, 8
APART = [
    name
    for name in registry.BUILT_IN["objective"]
    if not (part := registry.load("objective", name)()).compares_domains() and "side" not in part.needs()
]
"""Those for which a pass need not see all domains. LEVI's is cross-entropy on features of its own (``test_levi``)."""


def network(values: bool) -> Network:
    torch.manual_seed(0)
    backbone = Backbone("toy", nn.Sequential(nn.Linear(6, 5), nn.Tanh()), 5, 1, (0,) * 3, (1,) * 3)
    return Network(backbone, 1 if values else CLASSES).double()


def batch(values: bool) -> Batch:
    draw = torch.Generator().manual_seed(1)
    n = DOMAINS * EACH
    y = torch.randn(n, generator=draw).double() if values else torch.randint(CLASSES, (n,), generator=draw)
    rows = torch.arange(EACH).repeat(DOMAINS)
    x = torch.randn(n, 6, generator=draw).double()
    return Batch(x, y, torch.arange(DOMAINS).repeat_interleave(EACH), rows, sizes=(EACH,) * DOMAINS)


def slopes(closure: Closure) -> list[Tensor]:
    loss = closure("descent")
    return [loss, *(p.grad.clone() for p in closure.network.parameters() if p.grad is not None)]


@pytest.mark.parametrize("name", APART)
def test_who_compares_no_domains_has_the_mean_of_what_each_gives_alone(name: str) -> None:
    """Loss and gradients, late in a training: else optimizers that take a batch apart would train something else."""
    objective: Objective = registry.load("objective", name)()
    values = "classes" not in objective.serves()
    made = network(values)
    objective.attach(made, [EACH] * DOMAINS)
    given = objective.prepare(batch(values), CLASSES, torch.Generator().manual_seed(2))
    closure = Closure(made, objective.loss, given, step=90, steps=100, domains=DOMAINS)
    with torch.no_grad():
        objective.remember(closure.forward())
    whole, *apart = (slopes(part) for part in (closure, *map(closure.of, range(DOMAINS))))
    for together, *alone in zip(whole, *apart, strict=True):
        torch.testing.assert_close(together, torch.stack(alone).mean(0))
