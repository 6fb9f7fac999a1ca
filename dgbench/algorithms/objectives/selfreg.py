"""SelfReg: images of one class look alike to the network, whatever their domains, and so do their mixtures.

Kim, Yoo, Park, Kim, Lee: SelfReg: Self-supervised Contrastive Regularization for Domain Generalization. ICCV 2021.
arXiv 2104.09841.

With p and q two permutations inside each class, l ~ Beta(0.5, 0.5), g a projection that learns, and means over all
entries of squared differences:

    I(u) = mean (u - u_p)^2        H(u) = mean (u - l u_p - (1 - l) u_q)^2
    R = l (I(z) + 0.3 I(g(phi))) + (1 - l) (H(z) + 0.3 H(g(phi)))        z the logits, phi the features
    loss = mean_i CE_i + min(sg(mean CE), 1) R

Partners are no constants. In the released code the projection is in no optimizer and stays as it was drawn; here it
descends its terms of R. The paper's averaging of weights is a part of another slot, its curriculum over domains is left
out, as in DomainBed. One forward and one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import Network, Tensor, nn, torch
from dgbench.algorithms.objectives.mixing import symmetric_beta
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class SelfReg(Objective):
    """Cross-entropy plus distances inside classes.

    Attributes:
        projected_weight: What distances of projected features count beside those of logits.
    """

    projected_weight: NonNegative = 0.3

    def compares_domains(self) -> bool:
        """Partners are of any domain."""
        return True

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The projection: three linear maps with batch normalisation, which always normalises by the batch."""
        dim = network.info.dim
        hidden = dim if dim == 2048 else 2 * dim  # as in DomainBed, whose ResNet-50 has 2,048
        layers: list[nn.Module] = []
        for before, after in ((dim, hidden), (hidden, hidden), (hidden, dim)):
            layers += [nn.ReLU()] if layers else []
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after, track_running_stats=False)]
        network.auxiliary.add_module("projection", nn.Sequential(*layers).to(network.head.weight))

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Draw each example's two partners and the share of the first."""
        partners = [_within_classes(batch.y, generator) for _ in range(2)]
        return batch.replace(drawn=(*partners, symmetric_beta(0.5, generator).to(batch.x)))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        risk = forward.cross_entropy.mean()
        if len(forward.batch) < 2:  # a single example is its own partner, and no batch to normalise by
            return risk
        apart = _apart(forward, forward.logits) + self.auxiliary_loss(forward)
        return risk + risk.detach().clamp(max=1) * apart

    def auxiliary_loss(self, forward: Forward) -> Tensor:
        """Distances of projected features."""
        if len(forward.batch) < 2:
            return forward.features.new_zeros((), requires_grad=True)
        projected: Tensor = forward.network.auxiliary.get_submodule("projection")(forward.features)
        return self.projected_weight * _apart(forward, projected)


def _apart(forward: Forward, values: Tensor) -> Tensor:
    """``l I + (1 - l) H`` of ``values [n, k]``."""
    first, second, share = forward.batch.drawn
    alone = (values - values[first]).square().mean()
    mixed = (values - share * values[first] - (1 - share) * values[second]).square().mean()
    return share * alone + (1 - share) * mixed


def _within_classes(y: Tensor, generator: torch.Generator) -> Tensor:
    """A random partner of the same class for each example, ``[n]``: a permutation, which may leave some alone."""
    shuffled = torch.randperm(len(y), generator=generator).to(y.device)
    places, partners = y.argsort(stable=True), shuffled[y[shuffled].argsort(stable=True)]
    return torch.empty_like(places).scatter_(0, places, partners)
