"""CORAL: features whose mean and covariance are equal in every domain.

Sun, Saenko: Deep CORAL: Correlation Alignment for Deep Domain Adaptation. ECCV Workshops 2016. arXiv 1607.01719.

    loss = mean_e L_e + w mean_{pairs (i, j)} [ mean_d (mu_i - mu_j)_d^2 + mean_{dd'} (C_i - C_j)_{dd'}^2 ]

with ``mu`` the mean of a domain's features and ``C`` their unbiased covariance. This is DomainBed's form; Deep CORAL
has no term for the mean, aligns one source with the target, and scales its covariance term by 1/4.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import F, Tensor, torch
from dgbench.algorithms.objectives.aligned import Aligned
from dgbench.algorithms.step import Forward


@dataclass(frozen=True)
class CORAL(Aligned):
    """Mean risk plus the mean distance of first and second moments over pairs of domains."""

    def apart(self, forward: Forward) -> Tensor:
        """A scalar, at least 0. With one source domain there are no pairs, and no penalty."""
        return moment_distance(forward)


def moment_distance(forward: Forward) -> Tensor:
    """Mean distance of the features' means and covariances over pairs of domains, a scalar."""
    means = forward.domain_means(forward.features)
    return _pair_distance(means) + _pair_distance(_covariances(forward, means))


def _covariances(forward: Forward, means: Tensor) -> Tensor:
    """Unbiased covariance of each domain's features, ``[M, d, d]``; 0 for a domain with a single example."""
    centred = forward.features - means[forward.batch.domain]
    member = F.one_hot(forward.batch.domain, forward.domains).to(centred.dtype)
    sums = torch.einsum("nm,ni,nj->mij", member, centred, centred)
    return sums / (member.sum(0) - 1).clamp(min=1).view(-1, 1, 1)


def _pair_distance(statistics: Tensor) -> Tensor:
    """Mean squared difference over all pairs of ``[M, ...]``: twice the unbiased variance, so no pair is formed."""
    deviations = statistics - statistics.mean(0)
    return 2 * deviations.square().flatten(1).mean(1).sum() / max(len(statistics) - 1, 1)
