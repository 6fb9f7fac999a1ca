"""MMD: features that have the same distribution in every domain, as far as Gaussian kernels see.

Li, Pan, Wang, Kot: Domain Generalization with Adversarial Feature Learning. CVPR 2018.
Gretton, Borgwardt, Rasch, Schölkopf, Smola: A Kernel Two-Sample Test. JMLR 2012.

    k(a, b) = sum over s in {0.001, 0.01, 0.1, 1, 10, 100, 1000} of exp(-s ||a - b||^2)
    MMD^2(i, j) = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)        x, x' in domain i, y, y' in j
    loss = mean_e L_e + w mean_{pairs (i, j)} MMD^2(i, j)

The means run over all pairs, an example with itself included: the distance is at least 0, and not 0 on average for two
samples of one distribution. This is DomainBed's form; the paper has an autoencoder and an adversary besides, and
chooses bandwidths. Features whose squared distances are above some hundreds are far apart to all kernels but two.

Cost: one forward and one backward pass; n^2 d for the distances.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.objectives.aligned import Aligned
from dgbench.algorithms.step import Forward

SCALES = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class MMD(Aligned):
    """Mean risk plus the mean distance of the features' distributions over pairs of domains."""

    def apart(self, forward: Forward) -> Tensor:
        """A scalar, at least 0. With one source domain there are no pairs, and no penalty."""
        return kernel_distance(forward)


def kernel_distance(forward: Forward) -> Tensor:
    """Mean of MMD^2 over pairs of domains; no pair is formed, for it is twice the unbiased variance of mean maps."""
    shares = forward.domain_shares()
    apart = shares - shares.mean(0)
    kernel = gaussians(_squared_distances(forward.features), SCALES)
    return 2 * ((apart @ kernel) * apart).sum() / max(forward.domains - 1, 1)


def gaussians(squared: Tensor, scales: tuple[float, ...]) -> Tensor:
    """The sum of ``exp(-s d^2)`` over scales, of squared distances."""
    return torch.stack([(-scale * squared).exp() for scale in scales]).sum(0)


def _squared_distances(x: Tensor) -> Tensor:
    """``[n, n]``; centred first, since float32 loses small differences of large squares."""
    x = x - x.mean(0)
    squares = x.square().sum(1)
    return (squares[:, None] + squares - 2 * x @ x.t()).clamp(min=0)
