"""What the optimizers share that make a direction of their own, and have another optimizer take the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.adamw import AdamW
from dgbench.algorithms.optimizers.descent import Descent
from dgbench.algorithms.optimizers.sgd import SGD

Tensors = list[Tensor] | tuple[Tensor, ...]
_BASES: dict[str, type[Descent]] = {"adamw": AdamW, "sgd": SGD}


@dataclass(frozen=True)
class Based(Descent):
    """A direction, and the optimizer that descends it.

    Attributes:
        base: The optimizer that takes the step.
    """

    base: Literal["adamw", "sgd"] = "adamw"

    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """The base optimizer with this part's rate, weight decay and momentum."""
        shared = {field.name: getattr(self, field.name) for field in fields(Descent)}
        return _BASES[self.base](**shared).build(parameters)


def gradients(weights: Sequence[Tensor]) -> list[Tensor]:
    """What the last pass left in ``.grad``; 0 where that is nothing."""
    return [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]


def leave(weights: Sequence[Tensor], direction: Sequence[Tensor]) -> None:
    """Make it what is in ``.grad``, laid out in memory as the weights are, which sums of gradients need not be."""
    for w, d in zip(weights, direction, strict=True):
        w.grad = torch.empty_like(w).copy_(d)
