"""LISA: mix examples of one class from different domains, or of one domain from different classes.

Yao, Wang, Li, Zhang, Liang, Zou, Finn: Improving Out-of-Distribution Robustness via Selective Augmentation. ICML 2022.
arXiv 2201.00299.

    with probability p_sel each example's partner has its class and another domain, else its domain and another class
    x <- l x + (1 - l) x'       y <- l y + (1 - l) y'       l ~ Beta(2, 2)

The coin is tossed once a step, and one weight serves the step. Partners are drawn from the batch, each that fits with
the same probability; an example that none fits stays as it is. Mixing classes of one domain breaks what domain and
class have to do with each other; mixing domains of one class leaves no domain to learn.

Cost: one forward and one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import torch
from dgbench.algorithms.objectives.mixing import Mixing, drawn_partners, mixed, symmetric_beta
from dgbench.algorithms.step import Batch
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class LISA(Mixing):
    """Mean risk of the domains on selectively mixed examples.

    Attributes:
        within_class: Probability that a step mixes domains of one class, and not classes of one domain.
    """

    within_class: Fraction = 0.5

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Toss the coin, draw partners, mix."""
        mixes_domains = (torch.rand((), generator=generator) < self.within_class).to(batch.x.device)
        same_class = batch.y[:, None] == batch.y
        same_domain = batch.domain[:, None] == batch.domain
        fitting = torch.where(mixes_domains, same_class & ~same_domain, same_domain & ~same_class)
        partner = drawn_partners(fitting.to(batch.x.dtype), generator)
        return mixed(batch, classes, partner, symmetric_beta(self.alpha, generator).to(batch.x))
