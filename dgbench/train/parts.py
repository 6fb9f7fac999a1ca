"""What shapes a training."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dgbench.algorithms.later import Network, nn
from dgbench.algorithms.slots import Adapter, Objective, Optimizer, Sampler
from dgbench.models.reseed import reseed
from dgbench.train.spec import TrainingSpec


@dataclass(frozen=True)
class Parts:
    """The parts that shape a training."""

    sampler: Sampler
    adapter: Adapter
    objective: Objective
    optimizer: Optimizer


def attach(spec: TrainingSpec, parts: Parts, network: Network) -> None:
    """Make of a plain network what the first step sees."""
    reseed(spec.seed("adapter"), next((one.device for one in network.parameters()), None))
    parts.adapter.attach(network, len(spec.sources))
    parts.objective.leave(network)


def by_closed_form(parts: Parts, network: Network, trained: Collection[str]) -> bool:
    """Whether nothing but a linear head on given features is trained, and the objective says its gradient.

    A part that has another loss than the class that it comes from, and says no other gradient, has none.
    """
    owners = [next(c for c in type(parts.objective).__mro__ if name in vars(c)) for name in ("loss", "slopes")]
    return (
        isinstance(network.backbone, nn.Identity)
        and list(trained) == ["head.weight", "head.bias"]
        and owners[0] is owners[1]
        and type(parts.adapter).penalty is Adapter.penalty
    )
