"""What the optimizers share that take a step's batch apart by domain: AND-mask, SAND-mask, Fish and MLDG."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.based import Based, gradients
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Closure


@dataclass(frozen=True)
class DomainByDomain(Based):
    """A base optimizer, and passes over one or some of the source domains each: together one pass over the batch."""

    takes_apart: ClassVar[bool] = True

    def acts_on(self) -> frozenset[Ground]:
        """With a single domain there is nothing to take apart."""
        return frozenset({"several domains"})


def present(closure: Closure) -> list[int]:
    """The domains that have examples in the batch, in their order."""
    return [domain for domain, size in enumerate(closure.batch.sizes) if size]


def shuffled(closure: Closure) -> list[int]:
    """The domains that have examples, in an order that follows from the step's seed, of which it draws nothing."""
    domains = present(closure)
    return random.Random(torch.initial_seed()).sample(domains, len(domains))


def evaluated(closure: Closure, parameters: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The loss of a closure, detached, and its gradients: 0 for a weight that has none."""
    loss = closure("descent")
    return loss, gradients(parameters)
