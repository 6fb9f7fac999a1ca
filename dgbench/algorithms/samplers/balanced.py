"""Domain-balanced batches, the sampling of DomainBed.

Gulrajani and Lopez-Paz: In Search of Lost Domain Generalization. ICLR 2021.

Every step takes the same number of images from each source domain. Deviation: DomainBed draws with replacement; here
each domain is gone through in a fresh permutation each epoch, so every image is seen equally often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from dgbench.algorithms.slots import Sampler
from dgbench.data.augment import pad_crop


@dataclass(frozen=True)
class Balanced(Sampler):
    """The same number of images from each source domain.

    Attributes:
        augmentation: ``crop`` moves each image by up to a sixteenth of its side; ``none`` leaves it alone.
    """

    augmentation: Literal["none", "crop"] = "crop"

    def rows(self, pools: Sequence[Tensor], size: int, step: int, seeds: Sequence[int]) -> list[Tensor]:
        """The next ``size`` rows of each domain's endless sequence of permutations."""
        taken = []
        for pool, seed in zip(pools, seeds, strict=True):
            first, n = step * size, len(pool)
            epochs = range(first // n, (first + size - 1) // n + 1)
            order = torch.cat([_permutation(n, seed, epoch) for epoch in epochs])
            start = first - epochs[0] * n
            taken.append(pool[order[start : start + size]])
        return taken

    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Random translation, or nothing."""
        return pad_crop(x, generator, pad=x.shape[-1] // 16) if self.augmentation == "crop" else x

    def families(self) -> frozenset[str]:
        """Translation belongs to the geometric family."""
        return frozenset({"geometric"} if self.augmentation == "crop" else ())


@lru_cache(maxsize=64)
def _permutation(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed((seed + epoch) % 2**63))
