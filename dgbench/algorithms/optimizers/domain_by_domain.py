"""What the optimizers share that take a step's batch apart by domain: AND-mask, SAND-mask, Fish and MLDG."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.adamw import AdamW
from dgbench.algorithms.optimizers.descent import Descent
from dgbench.algorithms.optimizers.sgd import SGD
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Closure

_BASES: dict[str, type[Descent]] = {"adamw": AdamW, "sgd": SGD}


@dataclass(frozen=True)
class DomainByDomain(Descent):
    """A base optimizer, and passes over one or some of the source domains each: together one pass over the batch.

    Attributes:
        base: The optimizer that takes the steps.
    """

    base: Literal["adamw", "sgd"] = "adamw"
    takes_apart: ClassVar[bool] = True

    def acts_on(self) -> frozenset[Ground]:
        """With a single domain there is nothing to take apart."""
        return frozenset({"several domains"})

    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """The base optimizer with this part's rate, weight decay and momentum."""
        shared = {field.name: getattr(self, field.name) for field in fields(Descent)}
        return _BASES[self.base](**shared).build(parameters)


def present(closure: Closure) -> list[int]:
    """The domains that have examples in the batch, in their order."""
    return [domain for domain, size in enumerate(closure.batch.sizes) if size]


def shuffled(closure: Closure) -> list[int]:
    """The domains that have examples, in an order that follows from the step's seed, of which it draws nothing."""
    domains = present(closure)
    return random.Random(torch.initial_seed()).sample(domains, len(domains))


def gradients(closure: Closure, parameters: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The loss of a closure, detached, and its gradients: 0 for a weight that has none."""
    loss = closure("descent")
    return loss, [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
