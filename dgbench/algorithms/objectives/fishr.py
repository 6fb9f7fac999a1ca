"""Fishr: gradients of the head that vary alike in every domain.

Rame, Dancette, Cord: Fishr: Invariant Gradient Variances for Out-of-Distribution Generalization. ICML 2022.
arXiv 2109.02934.

    v_e = Var_{i in e} (gradient of CE_i in the head's weights and biases)        S_e <- decay S_e + v_e
    loss = mean_i CE_i + w (1/M) sum_e |S_e - mean S|^2

with ``w`` 0 before the switch: until then this is ERM, but that S moves. The variance is biased, entry by entry; the
past of S is a constant, so its gradient does not depend on ``decay``. S is the paper's running mean over 1 - decay, as
in the released code, and so are the values of ``w`` in use. Variances have a closed form in residuals and features,

    v = (R.R)'(Phi.Phi) / n - (R'Phi / n)^2

where the released code computes the gradient of every example (BackPACK). One forward and one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.head_statistics import gradient_moments, residuals
from dgbench.algorithms.later import F, Network, Tensor
from dgbench.algorithms.objectives.annealed import Annealed
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Forward
from dgbench.core.units import Fraction, NonNegative


@dataclass(frozen=True)
class Fishr(Annealed):
    """Cross-entropy plus the spread of the domains' gradient variances.

    Attributes:
        penalty_weight: w after the switch.
        anneal: Share of the steps before the switch.
        decay: What is left of the running variances after a step; at 0 each step's own count alone.
    """

    penalty_weight: NonNegative = 1000.0
    anneal: Fraction = 0.3
    decay: Fraction = 0.95
    before: ClassVar[float] = 0.0

    def acts_on(self) -> frozenset[Ground]:
        """Variances of a single domain are like themselves."""
        return frozenset({"several domains"})

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """S of each of the N domains of the training, ``[N, C, d + 1]``, the bias last."""
        like = network.head.weight
        variances = like.new_zeros(len(examples), network.classes, network.info.dim + 1)
        network.auxiliary.register_buffer("variances", variances)

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        risk = forward.cross_entropy.mean()
        if not self.begun(forward):
            return risk
        running = self._moved(forward)
        return risk + self.penalty_weight * (running - running.mean(0)).square().sum() / len(running)

    def remember(self, forward: Forward) -> None:
        """The variances that the step has used."""
        forward.network.auxiliary.get_buffer("variances").index_copy_(0, forward.present, self._moved(forward))

    def _moved(self, forward: Forward) -> Tensor:
        """S of the step's domains after this pass, ``[M, C, d + 1]``."""
        before = forward.network.auxiliary.get_buffer("variances")[forward.present]
        return self.decay * before + variances(forward)


def variances(forward: Forward) -> Tensor:
    """Of each entry of the head's gradient over the examples of each domain, ``[M, C, d + 1]``.

    Where domains lie side by side in the batch, as many of each, products are taken domain by domain, with no mask.
    """
    sizes = forward.batch.sizes
    if len(set(sizes)) != 1:
        mean, square = gradient_moments(forward)
        return square - mean.square()
    r, phi = residuals(forward), F.pad(forward.features, (0, 1), value=1.0)
    r, phi = (values.reshape(len(sizes), sizes[0], -1) for values in (r, phi))
    mean = r.mT @ phi / sizes[0]
    return r.square().mT @ phi.square() / sizes[0] - mean.square()
