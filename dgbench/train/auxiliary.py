"""What an objective keeps between steps, in ``network.auxiliary``: how it starts, and how it moves beside the network.

It moves once a step, by what the step's first pass saw, however many passes the optimizer takes: as statistics of batch
normalisation do; where the optimizer takes the batch apart, by one more pass. Its weights have an optimizer of their
own, of the recipe's kind. Gradients that passes of the network leave in them are thrown away, so no optimizer part need
know that they are there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dgbench.algorithms.descend import descend
from dgbench.algorithms.slots import Objective, State
from dgbench.algorithms.step import Closure
from dgbench.models.effective import BESIDE
from dgbench.models.network import Network
from dgbench.models.reseed import reseed
from dgbench.train.layout import check_layouts
from dgbench.train.moments import load_moments, moments
from dgbench.train.parts import Parts
from dgbench.train.spec import TrainingSpec


def attach_auxiliary(spec: TrainingSpec, parts: Parts, network: Network, examples: Sequence[int]) -> None:
    """Add what the objective keeps to a network whose adapter is attached; whoever does not train needs none of it.

    Args:
        examples: How many rows each source domain has.
    """
    reseed(spec.seed("auxiliary"), next((one.device for one in network.parameters()), None))
    parts.objective.attach(network, examples)


class Auxiliary:
    """Buffers and weights of ``network.auxiliary``, and of what predictors read beside it, in a training."""

    def __init__(self, parts: Parts, network: Network) -> None:
        self.objective = parts.objective
        self.remembers = type(parts.objective).remember is not Objective.remember
        self.weights = {
            name: p for name, p in network.named_parameters() if p.requires_grad and name.startswith(BESIDE)
        }
        self.optimizer = parts.optimizer.build(list(self.weights.values())) if self.weights else None

    def move(self, closure: Closure, rate: float) -> None:
        """Once a step, when the network's weights have moved.

        Args:
            rate: The network's learning rate at this step.
        """
        if self.optimizer is not None:
            seen, weights = closure.whole(), list(self.weights.values())
            for group in self.optimizer.param_groups:
                group["lr"] = rate * self.objective.auxiliary_rate()
            for _ in range(self.objective.auxiliary_steps()):
                self.optimizer.zero_grad()
                self.objective.auxiliary_loss(seen).backward(inputs=weights)  # type: ignore[no-untyped-call]
                descend(self.optimizer)
        if self.remembers:
            with torch.no_grad():
                self.objective.remember(closure.whole())

    def moments(self) -> State:
        """What the optimizer keeps; weights and buffers are saved with the network."""
        return {} if self.optimizer is None else moments(self.optimizer, self.weights)

    def load_moments(self, found: State, parts: Parts) -> None:
        """The reverse of :meth:`moments`."""
        if self.weights:
            self.optimizer = parts.optimizer.build(list(self.weights.values()))
            load_moments(self.optimizer, self.weights, found)

    def check_layouts(self) -> None:
        """As :func:`dgbench.train.layout.check_layouts`."""
        if self.optimizer is not None:
            check_layouts(self.weights, self.optimizer)
