"""CAD: features of which a contrastive bottleneck cannot tell the domain.

Ruan, Dubois, Maddison: Optimal Representations for Covariate Shift. ICLR 2022. arXiv 2201.00057.

    l_i = -log of the share that examples of other domains have in sum_{j != i} exp(<phi_i, phi_j> / T), phi of length 1
    loss = mean_i CE_i + w (T / 0.07) mean_i l_i

over the examples i that have some of another domain beside them. This is the flipped form, which asks that partners be
of another domain; it is DomainBed's default. Deviations from DomainBed: features are of length 1, where there the
longest takes all and the loss is 0 or huge; rows are not left out by their label. One forward and one backward pass,
and n^2 inner products.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import F, Tensor, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative, Positive

BASE = 0.07
"""The temperature that the penalty's scale is relative to."""


@dataclass(frozen=True)
class CAD(Objective):
    """Cross-entropy plus what similar features tell of their domain.

    Attributes:
        penalty_weight: w.
        temperature: T, of the similarities.
        normalized: Whether features have the length 1 before they are compared.
    """

    penalty_weight: NonNegative = 0.1
    temperature: Positive = 0.1
    normalized: bool = True

    def acts_on(self) -> frozenset[Ground]:
        """Features are to change, and partners of other domains are sought."""
        return frozenset({"moving features", "several domains"})

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        return forward.cross_entropy.mean() + self.penalty_weight * self.penalty(forward)

    def penalty(self, forward: Forward) -> Tensor:
        """The mean of ``(T / 0.07) l_i``; 0 where no example has another domain beside it."""
        features = F.normalize(forward.features, dim=1) if self.normalized else forward.features
        similar = features @ features.t() / self.temperature
        domain, among = forward.batch.domain, self.among(forward)
        others = among & (domain[:, None] != domain)
        counted = others.any(1)
        share = _log_sum(similar, others, counted) - _log_sum(similar, among, counted)
        return -(self.temperature / BASE) * (share * counted).sum() / counted.sum().clamp(min=1)

    def among(self, forward: Forward) -> Tensor:
        """Which examples each is compared with, ``[n, n]``: all but itself."""
        n = len(forward.batch)
        return ~torch.eye(n, dtype=torch.bool, device=forward.features.device)


def _log_sum(scores: Tensor, mask: Tensor, counted: Tensor) -> Tensor:
    """Logarithm of the sum of ``exp(scores)`` over what is in the mask, ``[n]``; finite for rows that do not count."""
    return torch.where(mask | ~counted[:, None], scores, -torch.inf).logsumexp(1)
