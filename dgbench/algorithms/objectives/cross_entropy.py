"""Cross-entropy: empirical risk minimisation, with label smoothing and mixup where they are asked for.

Vapnik: Statistical Learning Theory. Wiley, 1998.
Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception Architecture for Computer Vision. CVPR 2016.
Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization. ICLR 2018.

    x <- l x + (1 - l) x[pi]        q <- l q + (1 - l) q[pi]        l ~ Beta(a, a), pi a permutation
    q <- (1 - e) q + e / C
    loss = mean_i CE(f(x_i), q_i)

As in the mixup paper's code, one ``l`` and one permutation serve the whole batch; the batch holds all source domains,
so images are mixed across domains. (DomainBed's Mixup draws one ``l`` for each pair of domains.)
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.objectives.mixing import shuffled
from dgbench.algorithms.objectives.squared_error import SquaredError
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Forward
from dgbench.core.units import Fraction, NonNegative


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Mean cross-entropy over the batch, in nats.

    Attributes:
        label_smoothing: Share of each label that is spread evenly over all classes.
        mixup: Parameter of the symmetric Beta distribution that mixing weights come from; 0 turns mixup off.
    """

    label_smoothing: Fraction = 0.0
    mixup: NonNegative = 0.0

    def serves(self) -> frozenset[Targets]:
        """Of values it is the squared error; labels are smoothed over classes."""
        return frozenset({"classes"} if self.label_smoothing else {"classes", "values"})

    def on_values(self) -> SquaredError:
        """The same of values."""
        return SquaredError(self.mixup)

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Mix, then smooth. Where both are off, the batch stays what it is and no random number is drawn."""
        if self.mixup == 0 and self.label_smoothing == 0:
            return batch
        if self.mixup > 0:
            batch = shuffled(batch, classes, self.mixup, generator)
        target = (1 - self.label_smoothing) * batch.targets(classes) + self.label_smoothing / classes
        return batch.replace(target=target)

    def loss(self, forward: Forward) -> Tensor:
        """Mean over the examples."""
        return forward.cross_entropy.mean()

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Every example has the same share of the mean."""
        n = len(forward.batch)
        return self.loss(forward), slopes(forward, forward.logits.new_full((n,), 1 / n))
