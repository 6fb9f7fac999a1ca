"""SAND-mask: AND-mask whose entries are smooth, and smaller where the domains' gradients differ.

Shahtalebi, Gagnon-Audet, Laleh, Faramarzi, Ahuja, Rish: SAND-mask: An Enhanced Gradient Masking Strategy for the
Discovery of Invariances in Domain Generalization. 2021. arXiv 2106.02266.

    g_e = grad L_e      a = |sum_e sign g_e| / M      v = unbiased variance of g_e over the domains
    m = max(0, tanh( steepness (a - agreement) / v ))
    direction = m mean_e g_e / (1e-10 + mean(m))

At ``agreement`` = 1, the default of DomainBed, ``m`` is 0 everywhere and nothing is ever learned; 0.5 is our default.
Gradients of real networks vary so little that ``m`` is mostly 0 or 1: then this is AND-mask. See there for the
division, for the values that ``a`` can take, and for the cost: one forward and one backward pass, M copies of the
gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.optimizers.and_mask import ANDMask
from dgbench.core.units import Fraction, Positive

_LEAST = 1e-30
"""Of a variance: equal gradients are kept whole where signs agree enough."""


@dataclass(frozen=True)
class SANDMask(ANDMask):
    """The mean of the domains' gradients, weighted by how far these agree in sign and in size.

    Attributes:
        agreement: How far signs must agree for an entry to stay; at 1 none does.
        steepness: How fast the mask rises from 0 to 1.
    """

    agreement: Fraction = 0.5
    steepness: Positive = 10.0

    def mask(self, gradients: Tensor) -> Tensor:
        """What share of each entry stays, in [0, 1]; of the gradients of one tensor, ``[M, ...]``."""
        agreeing = gradients.sign().mean(0).abs() - self.agreement
        variance = (gradients - gradients.mean(0)).square().sum(0) / max(len(gradients) - 1, 1)
        return (self.steepness * agreeing / variance.clamp(min=_LEAST)).tanh().clamp(min=0)
