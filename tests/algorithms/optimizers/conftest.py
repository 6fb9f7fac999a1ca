"""Two problems: a quadratic whose every step is known, and a small network with all that a real step has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.slots import Adapter, Objective, Optimizer
from dgbench.algorithms.step import Batch, Closure, Forward
from dgbench.models.network import Backbone, Network


class Quadratic:
    """A closure for 1/2 w' diag(curvature) w, in double precision."""

    step, steps = 0, 10

    def __init__(self, curvature: list[float], start: list[float]) -> None:
        self.network = nn.Module()
        self.network.weight = nn.Parameter(torch.tensor(start).double())
        self.curvature = torch.tensor(curvature).double()
        self.passes = 0

    def __call__(self, phase: str) -> Tensor:
        self.passes += 1
        w = self.network.weight
        w.grad = self.curvature * w.detach()
        return (self.curvature * w.detach().square()).sum() / 2


@pytest.fixture
def quadratic() -> Callable[..., Quadratic]:
    return Quadratic


@pytest.fixture
def direction() -> Callable[..., Tensor]:
    """The direction that a part leaves on the quadratic with curvatures 1 and 4, from (1, 1)."""

    def take(part: Optimizer, *, step: int = 0, start: tuple[float, float] = (1, 1)) -> Tensor:
        closure = Quadratic([1, 4], list(start))
        closure.step = step
        part.direction(closure, [closure.network.weight])
        assert closure.passes == part.passes
        assert closure.network.weight.tolist() == list(start)
        return closure.network.weight.grad

    return take


class RidgeAdapter(Adapter):
    """Everything is trainable, and the head's weights have a penalty."""

    def attach(self, network: Network, domains: int) -> None:
        pass

    def penalty(self, network: Network) -> Tensor:
        return 0.01 * network.head.weight.square().sum()


@dataclass(frozen=True)
class Counted(Objective):
    """An objective that counts how often it is asked, and at which weights."""

    inner: Objective = field(default_factory=CrossEntropy)
    calls: list[Tensor] = field(default_factory=list)

    def loss(self, forward: Forward) -> Tensor:
        self.calls.append(forward.network.head.weight.detach().clone())
        return self.inner.loss(forward)


@dataclass
class Problem:
    """A network, and a fresh closure for any step of a training of 10 steps."""

    network: Network
    batch: Batch
    objective: Counted

    @property
    def parameters(self) -> list[Tensor]:
        return [p for p in self.network.parameters() if p.requires_grad]

    def closure(self, step: int = 5) -> Closure:
        def loss(forward: Forward) -> Tensor:
            return self.objective.loss(forward) + RidgeAdapter().penalty(self.network)

        return Closure(self.network, loss, self.batch, step=step, steps=10, domains=3)

    def gradients(self) -> list[Tensor | None]:
        return [p.grad if p.grad is None else p.grad.clone() for p in self.parameters]


@pytest.fixture
def problem() -> Problem:
    """A two-layer network with batch normalisation on 12 images of three domains; one weight has no gradient."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 5))
    body.register_parameter("unused_weight", nn.Parameter(torch.ones(3)))
    network = Network(Backbone("toy", body, 5, size=2, mean=(0, 0, 0), std=(1, 1, 1)), classes=4)
    batch = Batch(torch.randn(12, 3, 2, 2), torch.arange(12) % 4, torch.arange(12) // 4, torch.arange(12))
    return Problem(network, batch, Counted())
