"""What a predictor is prepared with."""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import F, Tensor


@dataclass(frozen=True)
class Source:
    """Features ``[n, d]``, classes and domains, int64 ``[n]``, of source images: training, or validation ones."""

    features: Tensor
    labels: Tensor
    domains: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """Of numbers ``[n, k]`` the mean over domains of those over each one's images: ``[k]``."""
        member = F.one_hot(self.domains).to(values)
        counts = member.sum(0)
        means = member.T @ values / counts.clamp(min=1)[:, None]
        return means[counts > 0].mean(0)
