"""Group sampling: a step sees a few of many source domains, the same number of images of each.

Koh, Sagawa, Marklund, Xie, Zhang et al.: WILDS: A Benchmark of in-the-Wild Distribution Shifts. ICML 2021. arXiv
2012.07421.

Its loader draws k distinct groups one after the other, each time with probability ``w_d / sum of w over those left``:
``w_d = 1`` (uniform over groups) or ``w_d = n_d`` (by size), and then images of each. A step depends on its own number
alone, so it can be made without those before it; which images it takes of a domain is the sampler's affair.
"""

from __future__ import annotations

from dgbench.algorithms.later import Tensor, torch


def drawn(weights: Tensor, count: int, seed: int) -> Tensor:
    """Numbers of ``count`` distinct domains, ascending, int64 ``[count]``.

    Args:
        weights: Of each domain, at least 0, ``[N]``; at least ``count`` of them above 0.
        count: How many are drawn.
        seed: Of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(weights, count, generator=generator).sort().values
