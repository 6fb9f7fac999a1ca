"""URM: features that a discriminator cannot tell from uniform noise.

Krishnamachari, Ng, Foo: Uniformly Distributed Feature Representations for Fair and Robust Learning. TMLR 2024.

    network:         mean_i CE_i + w mean_i BCE(D(phi_i), 1)
    discriminator:   mean_i BCE(D(u_i), 1) + w mean_i BCE(D(phi_i), 0)        u uniform on the range of the activation

``phi`` has gone through tanh, ReLU or a sigmoid; ``u`` lies in [-1, 1) for tanh and in [0, 1) for the others, and is
drawn anew in every step. No domain is looked at. As in the released code, ``w`` scales what the discriminator loses on
features, too, and features under ReLU have no upper bound while the noise has. One forward and one backward pass; the
discriminator learns on the features of that pass. Deviation: its optimizer is of the recipe's kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Count, NonNegative, Positive

SLOPE = 0.01


@dataclass(frozen=True)
class URM(Objective):
    """Cross-entropy plus how little features look like noise.

    Attributes:
        adversary_weight: w.
        discriminator_rate: The discriminator's learning rate, as a multiple of the network's.
        layers, width: Its linear maps between the first and the last, and the width of what is between them.
    """

    adversary_weight: NonNegative = 0.1
    discriminator_rate: Positive = 1.0
    layers: Count = 1
    width: Count = 100

    def needs(self) -> frozenset[str]:
        """Features whose range noise can have."""
        return frozenset({"bounded_features"})

    def compares_domains(self) -> bool:
        """It does not."""
        return False

    def acts_on(self) -> frozenset[Ground]:
        """Features that do not change look like what they look like."""
        return frozenset({"moving features"})

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The discriminator."""
        from dgbench.models.perceptron import perceptron

        widths = [network.info.dim, *[self.width] * (self.layers + 1), 1]
        discriminator = perceptron(widths, network.head.weight, slope=SLOPE)
        network.auxiliary.add_module("discriminator", discriminator)

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        told = _told(forward, forward.features)
        return forward.cross_entropy.mean() + self.adversary_weight * F.softplus(-told).mean()

    def auxiliary_loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        noise = torch.rand_like(forward.features)
        if forward.network.activation == "tanh":
            noise = 2 * noise - 1
        real, made = _told(forward, noise), _told(forward, forward.features)
        return F.softplus(-real).mean() + self.adversary_weight * F.softplus(made).mean()

    def auxiliary_rate(self) -> float:
        """As the attribute says."""
        return self.discriminator_rate


def _told(forward: Forward, inputs: Tensor) -> Tensor:
    """The discriminator's log-odds that these are noise, ``[n]``."""
    told: Tensor = forward.network.auxiliary.get_submodule("discriminator")(inputs)
    return told.squeeze(1)
