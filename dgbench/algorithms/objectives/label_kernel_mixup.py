"""Label-kernel mixup: mixup whose partners have labels that are near.

Yao, Wang, Zhang, Zou, Finn: C-Mixup: Improving Generalization in Regression. NeurIPS 2022. arXiv 2210.05775.

    P(j is the partner of i)  ~  exp( -||y_i - y_j||^2 / (2 h^2) )
    x <- l x_i + (1 - l) x_j        y <- l y_i + (1 - l) y_j        l ~ Beta(alpha, alpha)

over the batch, an example itself included, with one ``l`` a step, as in the paper's code for images; for tables that
draws partners from all training examples. The paper is about regression, and where targets are values this is C-Mixup:
``y`` is standardised over the source domains, so h is in their standard deviations. Elsewhere labels are class
probabilities, which for two classes lie at a squared distance of 2: a partner of another class is ``exp(-1 / h^2)`` as
likely as one of the same. For h -> 0 only examples of a class are mixed, for h -> infinity this is mixup with partners
drawn independently.

Cost: one forward and one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.objectives.mixing import Mixing, drawn_partners, mixed, symmetric_beta
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.step import Batch
from dgbench.core.units import Positive


@dataclass(frozen=True)
class LabelKernelMixup(Mixing):
    """Mean risk of the domains on examples mixed with such of near labels.

    Attributes:
        bandwidth: h, in the units of labels; of values in standard deviations.
    """

    bandwidth: Positive = 1.0

    def serves(self) -> frozenset[Targets]:
        """Values are what it was made for."""
        return frozenset({"classes", "values"})

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Draw partners, mix."""
        partner = drawn_partners(self.kernel(batch.targets(classes)), generator)
        return mixed(batch, classes, partner, symmetric_beta(self.alpha, generator).to(batch.x))

    def kernel(self, labels: Tensor) -> Tensor:
        """Of all pairs of labels ``[n, k]``: ``[n, n]``, symmetric, 1 where they are equal."""
        squared = (labels[:, None] - labels).square().sum(2)
        return (-squared / (2 * self.bandwidth**2)).exp()
