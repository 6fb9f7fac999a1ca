"""Squared error: empirical risk minimisation where targets are values, with mixup where it is asked for.

Vapnik: Statistical Learning Theory. Wiley, 1998.
Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization. ICLR 2018.

    x <- l x + (1 - l) x[pi]        y <- l y + (1 - l) y[pi]        l ~ Beta(a, a), pi a permutation
    loss = mean_i (f(x_i) - y_i)^2

with ``y`` standardised over the training examples of the source domains, so that rates and penalties need not know in
which unit the values are. It is what cross-entropy is on classes: a recipe that names no objective has it on values.

Cost: one forward and one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.objectives.mixing import shuffled
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class SquaredError(Objective):
    """Mean squared error over the batch, of standardised values.

    Attributes:
        mixup: Parameter of the symmetric Beta distribution that mixing weights come from; 0 turns mixup off.
    """

    mixup: NonNegative = 0.0

    def serves(self) -> frozenset[Targets]:
        """Values alone."""
        return frozenset({"values"})

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Mix. Where that is off, the batch stays what it is and no random number is drawn."""
        return batch if self.mixup == 0 else shuffled(batch, classes, self.mixup, generator)

    def loss(self, forward: Forward) -> Tensor:
        """Mean over the examples."""
        return forward.losses.mean()

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Every example has the same share of the mean."""
        n = len(forward.batch)
        return self.loss(forward), slopes(forward, forward.logits.new_full((n,), 1 / n))
