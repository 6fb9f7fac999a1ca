"""ITTA, the training side: consistency under changes of style, measured by maps that learn what helps classification.

Chen, Zhang, Song, Shan, Liu: Improved Test-Time Adaptation for Domain Generalization. CVPR 2023. arXiv 2304.04494.
Code: liangchen527/ITTA.

    z = f(x)      z' = f(x) with styles mixed after the first or second of four stages    (dgbench/algorithms/styles.py)
    network:      L_m + v L_c      L_m = mean CE(h(z), y) + mean CE(h(z'), y)      L_c = mean C(z' - z)^2
    maps C:       u mean (n(dL_c/df) - n(dL_m/df))^2      n: less its mean, divided by its standard deviation

The maps C (``dgbench/models/consistency.py``) stay as they are in the first line, and the network in the second, whose
gradients are those after its step, with styles drawn anew; n(dL_m/df), and the means and deviations in n, are
constants. Partners are drawn from the batch, shares of the own style from Beta(0.1, 0.1). The maps are averaged with
the network, and read by the predictor ``itta``. Needs blocks or stages that can be looked into, and acts on features
that move. Cost: four forward passes, a backward pass of two of them, two more for the gradients, and one through these:
six to seven times ERM, and memory for gradients of gradients. It compares images of all domains.

Deviations: stages are four blocks, evenly spaced, of a network that has known ones. Layers that normalise by the batch
do so in either pass by itself, and their statistics move in the first alone. A coordinate of z' - z below 0 counts for
nothing and has no gradient while the maps are as they begin, as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dgbench.algorithms.later import F, Network, Tensor, nn, torch
from dgbench.algorithms.objectives.mixing import symmetric_beta
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Batch, Forward, norm_statistics
from dgbench.algorithms.styles import restyled, style
from dgbench.core.units import Count, NonNegative, Positive

BETA = 0.1
"""Of the shares of the own style: nearly all, or nearly nothing."""


@dataclass(frozen=True)
class ITTALoss(Objective):
    """Cross-entropy in two styles, and consistency between them.

    Attributes:
        consistency_weight: v.
        alignment_weight: u.
        alignment_rate: The learning rate of the maps, as a multiple of the network's.
        depth: How many maps C is made of.
    """

    consistency_weight: NonNegative = 1.0
    alignment_weight: NonNegative = 0.1
    alignment_rate: Positive = 0.1
    depth: Count = 10

    def needs(self) -> frozenset[str]:
        """Stages."""
        return frozenset({"levels"})

    def provides(self) -> frozenset[str]:
        """The maps."""
        return frozenset({"consistency"})

    def acts_on(self) -> frozenset[Ground]:
        """What the two styles lead to."""
        return frozenset({"moving features"})

    def compares_domains(self) -> bool:
        """Styles are mixed in the whole batch."""
        return True

    @property
    def passes(self) -> float:
        """One for each style."""
        return 2.0

    @property
    def further_passes(self) -> float:
        """Two forth and four back, half of these to be gone through once more: measured, not counted."""
        return 5.0

    def leave(self, network: Network) -> None:
        """The maps."""
        from dgbench.models.consistency import Consistency

        network.consistency = Consistency(self.depth, network.info.dim).to(network.head.weight)

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Draw styles twice: for the network's step, and for that of the maps after it."""
        drawn: list[Tensor] = []
        for _ in range(2):
            partner = torch.randperm(len(batch), generator=generator)
            share = symmetric_beta(BETA, generator, len(batch)).float()
            drawn += [partner, share, torch.rand((), generator=generator) < 0.5]
        return batch.replace(drawn=tuple(one.to(batch.x.device) for one in drawn))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        from dgbench.models import consistency

        maps = forward.network.consistency
        assert maps is not None
        other = _restyled(forward.network, forward.batch.x, forward.batch.drawn[:3])
        again = replace(forward, features=other, logits=forward.network.head(other))
        apart = consistency.loss(maps.weight.detach(), maps.bias.detach(), other - forward.features)
        return forward.cross_entropy.mean() + again.cross_entropy.mean() + self.consistency_weight * apart

    def auxiliary_loss(self, forward: Forward) -> Tensor:
        """How far the two gradients are from each other."""
        from dgbench.models.effective import BESIDE

        network, x = forward.network, forward.batch.x
        assert network.consistency is not None
        others = ("head.", "domain_heads.", *BESIDE)
        features = [p for name, p in network.named_parameters() if p.requires_grad and not name.startswith(others)]
        with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
            with norm_statistics(network, moving=False):
                plain = network.features(x)
            other = _restyled(network, x, forward.batch.drawn[3:])
            losses = [F.cross_entropy(network.head(one), forward.batch.y) for one in (plain, other)]
            apart = _flat(network.consistency(other - plain), features)
            wanted = _flat(losses[0] + losses[1], features).detach()
            return self.alignment_weight * (_normal(apart) - _normal(wanted)).square().mean()

    def auxiliary_rate(self) -> float:
        """As the attribute says."""
        return self.alignment_rate


def _restyled(network: Network, x: Tensor, drawn: tuple[Tensor, ...]) -> Tensor:
    """Features ``[n, d]`` of images whose styles are mixed on the way, at one of two stages."""
    from dgbench.models.levels import changing, stages

    partner, share, early = drawn
    first, *second = stages(network)[:2]
    places = [(first, early), (second[0], ~early)] if second else [(first, torch.ones_like(early))]
    changes = []
    for stage, chosen in places:

        def change(made: Tensor, axis: int = stage.axis, chosen: Tensor = chosen) -> Tensor:
            return torch.where(chosen, restyled(made, axis, style(made, axis).of(partner), share), made)

        changes.append((stage, change))
    with changing(changes), norm_statistics(network, moving=False):
        return network.features(x)


def _flat(loss: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """A gradient as one vector, which has a gradient itself."""
    slopes = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True, materialize_grads=True)
    return torch.cat([slope.flatten() for slope in slopes])


def _normal(slope: Tensor) -> Tensor:
    """With mean 0 and deviation 1, by constants; a vector of equal numbers is 0."""
    centre, spread = slope.detach().mean(), slope.detach().std()
    return (slope - centre) / spread.clamp(min=torch.finfo(slope.dtype).tiny)
