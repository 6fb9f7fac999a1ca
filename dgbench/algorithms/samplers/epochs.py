"""Going through each domain, or each class of it, in a fresh permutation each time: all are seen equally often."""

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


def rows_by_class(
    pools: Sequence[Tensor], labels: Sequence[Tensor], size: int, step: int, seeds: Sequence[int]
) -> list[Tensor]:
    """The next ``size`` rows of each domain's endless sequence of rounds, each of which has every class once.

    The classes of a round, those that the domain has, come in a fresh order; a class's own rows are gone through in a
    fresh permutation each time that they are used up.

    Args:
        pools, labels, size, step, seeds: As :meth:`dgbench.algorithms.slots.Sampler.labelled_rows` has them.
    """
    taken = []
    for pool, label, seed in zip(pools, labels, seeds, strict=True):
        values, order = label.sort(stable=True)
        counts = [count for count in torch.bincount(values).tolist() if count]
        members = torch.split(pool[order], counts)
        drawn = []
        for place in range(step * size, (step + 1) * size):
            number, position = divmod(place, len(members))
            which = int(_permutation(len(members), seed, number)[position])
            mine = members[which]
            epoch, at = divmod(number, len(mine))
            drawn.append(mine[_permutation(len(mine), _of_class(seed, which), epoch)[at]])
        taken.append(torch.stack(drawn))
    return taken


def _of_class(seed: int, which: int) -> int:
    """A seed for the order of a class's rows, far from those of other classes and of the rounds."""
    return (seed + (which + 1) * 0x9E3779B97F4A7C15) % 2**63


@lru_cache(maxsize=4096)
def _permutation(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed((seed + epoch) % 2**63))
