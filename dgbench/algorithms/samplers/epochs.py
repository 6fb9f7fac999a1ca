"""Going through each domain in a fresh permutation each epoch, so that every image is seen equally often."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from dgbench.algorithms.later import Tensor, torch


def rows(pools: Sequence[Tensor], size: int, step: int, seeds: Sequence[int]) -> list[Tensor]:
    """The next ``size`` rows of each domain's endless sequence of permutations.

    Args:
        pools, size, step, seeds: As :meth:`dgbench.algorithms.slots.Sampler.rows` has them.
    """
    taken = []
    for pool, seed in zip(pools, seeds, strict=True):
        first, n = step * size, len(pool)
        epochs = range(first // n, (first + size - 1) // n + 1)
        order = torch.cat([_permutation(n, seed, epoch) for epoch in epochs])
        start = first - epochs[0] * n
        taken.append(pool[order[start : start + size]])
    return taken


@lru_cache(maxsize=64)
def _permutation(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed((seed + epoch) % 2**63))
