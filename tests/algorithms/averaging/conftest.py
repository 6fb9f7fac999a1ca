"""A scripted trajectory: whatever weights and losses a test wants, without a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from dgbench.algorithms.slots import State


@dataclass(frozen=True)
class Scripted:
    """Weights after every step, cut into segments of ``every`` steps; fills the contract ``Trajectory``."""

    start: State
    path: list[State]
    every: int
    losses: list[float]

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(range(self.every, len(self.path) + 1, self.every))

    def initial(self) -> State:
        return self.start

    def at(self, step: int) -> State:
        return self.path[step - 1]

    def segment(self, step: int) -> State:
        states = self.path[step - self.every : step]
        return {key: torch.stack([state[key] for state in states]).mean(0) for key in self.start}

    def ema(self, decay: float) -> State:
        weights = torch.tensor([decay**age for age in range(len(self.path) - 1, -1, -1)])
        weights = weights / weights.sum()
        return {
            key: torch.einsum("t,t...->...", weights, torch.stack([state[key] for state in self.path]))
            for key in self.start
        }

    def validation_loss(self, step: int) -> float:
        return self.losses[step // self.every - 1]


@pytest.fixture
def scripted() -> Callable[..., Scripted]:
    """A random path with given losses at its checkpoints."""

    def make(losses: list[float], every: int = 2) -> Scripted:
        draw = torch.Generator().manual_seed(0)
        states = [{"w": torch.randn(3, 2, generator=draw)} for _ in range(every * len(losses) + 1)]
        return Scripted(states[0], states[1:], every, losses)

    return make
