"""DANN: features from which a discriminator cannot tell the source domains apart.

Ganin, Ustinova, Ajakan, Germain, Larochelle, Laviolette, Marchand, Lempitsky: Domain-Adversarial Training of Neural
Networks. JMLR 17, 2016. arXiv 1505.07818.

    d_i = CE(D(phi_i), domain_i)
    network:         mean_i CE(f(x_i), y_i) - w mean_i d_i
    discriminator:   mean_i d_i + g mean_i |grad_phi d_i|^2

This is what gradient reversal does: both players move in every step, each down its own loss. DomainBed takes turns, so
that its classifier learns in one of 1 + k steps; here k steps of the discriminator, on the features of one pass, are
part of a step. One forward and one backward pass of the network. Deviations from DomainBed: the network does not ascend
the penalty of the discriminator's gradient; there is one optimizer for the classifier and the features, the recipe's.
As there, ``w`` is constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Count, Fraction, NonNegative, Positive


@dataclass(frozen=True)
class DANN(Objective):
    """Cross-entropy less the discriminator's.

    Attributes:
        adversary_weight: w, how much it counts that the discriminator errs.
        gradient_penalty: g, which keeps the discriminator smooth.
        discriminator_rate: Its learning rate, as a multiple of the network's.
        discriminator_steps: How many steps it takes in each step of the network.
        layers, width, dropout: Its linear maps, and the width and dropout of what is between them.
    """

    adversary_weight: NonNegative = 1.0
    gradient_penalty: NonNegative = 0.0
    discriminator_rate: Positive = 1.0
    discriminator_steps: Count = 1
    layers: Count = 3
    width: Count = 256
    dropout: Fraction = 0.0

    def acts_on(self) -> frozenset[Ground]:
        """The discriminator tells domains apart by features, which it asks to change."""
        return frozenset({"moving features", "several domains"})

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The discriminator."""
        from dgbench.models.perceptron import perceptron

        widths = [network.info.dim, *[self.width] * (self.layers - 1), len(examples)]
        network.auxiliary.add_module("discriminator", perceptron(widths, network.head.weight, self.dropout))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar without lower bound: the discriminator can err as much as it likes."""
        told = (self.shares(forward) * self.told_apart(forward, self.inputs(forward))).sum()
        return forward.cross_entropy.mean() - self.adversary_weight * told

    def auxiliary_loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        inputs = self.inputs(forward)
        if not self.gradient_penalty:
            return (self.shares(forward) * self.told_apart(forward, inputs)).sum()
        inputs = inputs if inputs.requires_grad else inputs.detach().requires_grad_()
        errors = self.told_apart(forward, inputs)
        (slope,) = torch.autograd.grad(errors.sum(), inputs, create_graph=True)
        penalty = slope.square().sum(1).mean()
        return (self.shares(forward) * errors).sum() + self.gradient_penalty * penalty

    def auxiliary_rate(self) -> float:
        """As the attribute says."""
        return self.discriminator_rate

    def auxiliary_steps(self) -> int:
        """As the attribute says."""
        return self.discriminator_steps

    def inputs(self, forward: Forward) -> Tensor:
        """What the discriminator sees, ``[n, d]``."""
        return forward.features

    def shares(self, forward: Forward) -> Tensor:
        """What each example counts, ``[n]``; they sum to 1."""
        return torch.full_like(forward.features[:, 0], 1 / len(forward.batch))

    def told_apart(self, forward: Forward, inputs: Tensor) -> Tensor:
        """The discriminator's cross-entropy on each example's domain, ``[n]``, in nats."""
        scores = forward.network.auxiliary.get_submodule("discriminator")(inputs)
        return F.cross_entropy(scores, forward.batch.source, reduction="none")
