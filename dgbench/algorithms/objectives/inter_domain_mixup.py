"""Inter-domain mixup: examples of one source domain mixed with those of another.

Yan, Song, Li, Zou, Ren: Improve Unsupervised Domain Adaptation with Mixup Training. 2020. arXiv 2001.00677.
Xu, Zhang, Ni, Li, Wang, Tian, Zhang: Adversarial Domain Adaptation with Domain Mixup. AAAI 2020. arXiv 1912.01805.

    a random circle of the domains, in which f comes after e
    x <- l_e x_e + (1 - l_e) x_f        y <- l_e y_e + (1 - l_e) y_f        l_e ~ Beta(alpha, alpha)
    loss = mean_e CE of domain e's examples, each mixed with the one in its place in f

This is what DomainBed calls Mixup: one weight for each pair of domains, and every domain meets one other. Where two
domains have different numbers of examples, the smaller one is gone through again; there, the larger one is cut.

Cost: one forward and one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import torch
from dgbench.algorithms.objectives.mixing import Mixing, mixed, symmetric_beta
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Batch
from dgbench.core.units import Positive


@dataclass(frozen=True)
class InterDomainMixup(Mixing):
    """Mean risk of the domains, each mixed with another."""

    alpha: Positive = 0.2

    def serves(self) -> frozenset[Targets]:
        """Values are mixed as labels are."""
        return frozenset({"classes", "values"})

    def acts_on(self) -> frozenset[Ground]:
        """A lone domain's examples meet themselves."""
        return frozenset({"several domains"})

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Mix domain with domain, row by row; the batch says how many examples each domain has."""
        device, domain = batch.x.device, batch.domain
        circle = torch.randperm(len(batch.sizes), generator=generator)
        following = torch.empty_like(circle).scatter_(0, circle, circle.roll(-1)).to(device)
        shares = torch.stack([symmetric_beta(self.alpha, generator) for _ in batch.sizes]).to(batch.x)
        sizes = torch.tensor(batch.sizes).to(device)
        starts = sizes.cumsum(0) - sizes
        place = torch.arange(len(batch), device=device) - starts[domain]
        other = following[domain]
        return mixed(batch, classes, starts[other] + place % sizes[other], shares[domain])
