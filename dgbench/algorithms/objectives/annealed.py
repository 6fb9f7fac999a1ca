"""What the penalties of DomainBed share that set in after a while: IRM, V-REx, the information bottleneck, RDM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Fraction, NonNegative


@dataclass(frozen=True)
class Annealed(Objective):
    """A penalty with weight 1 (or 0) at first and ``penalty_weight`` later, when the base optimizer starts afresh.

    Attributes:
        penalty_weight: Weight of the penalty after the switch.
        anneal: Share of the steps before the switch.
    """

    penalty_weight: NonNegative
    anneal: Fraction = 0.1
    #: Weight of the penalty before the switch.
    before: ClassVar[float] = 1.0

    def penalised(self, forward: Forward, penalty: Tensor) -> Tensor:
        """Mean of the domains' risks, and the penalty at its weight for this step."""
        return forward.domain_risks().mean() + self.weight(forward) * penalty

    def weight(self, forward: Forward) -> float:
        """Of the penalty, at this step."""
        return self.penalty_weight if self.begun(forward) else self.before

    def begun(self, forward: Forward) -> bool:
        """Whether the switch has come."""
        return forward.step >= self._onset(forward.steps)

    def resets_optimizer(self, step: int, steps: int) -> bool:
        """At the switch: Adam's second moments are those of much smaller gradients."""
        return step == self._onset(steps)

    def _onset(self, steps: int) -> int:
        return round(self.anneal * steps)
