"""Training images under crafted shifts.

N. Efthymiadis, G. Tolias, O. Chum: Crafting Distribution Shifts for Validation and Training in Single Source Domain
Generalization. WACV 2025.

With F the families that training may see, an image x of a batch becomes, independently of all others::

    x                    with probability 1 / (|F| + 1)
    one shift of f (x)   with probability 1 / (|F| + 1) for each f of F; the shift is drawn uniformly from the family

Batches are those of the balanced sampler. Validation under the same families would examine a model on what it was
taught, so `strict` holds them out; `kfold` trains with one of the paper's two folds and validates with the other.

Deviations: a shift is drawn anew in every step, where the authors' code draws one copy of each image and family before
training; there is no crop and no flip besides, which would be of the geometric family. The paper's second branch, which
sees edges, has a sampler of its own (``edge_views``). Drawing takes milliseconds for an image, on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.samplers import epochs
from dgbench.algorithms.samplers.balanced import Balanced
from dgbench.algorithms.slots import Sampler
from dgbench.core.shift_families import FAMILIES, Family


def each(shifts: tuple[Family, ...]) -> tuple[Family, ...]:
    """In one order and each once, so that one set of families is one training."""
    return tuple(sorted(set(shifts)))


@dataclass(frozen=True)
class Crafted(Sampler):
    """The same number of images from each source domain, most of them under a shift.

    Attributes:
        shifts: The families that shifts are drawn from.
    """

    shifts: Annotated[tuple[Family, ...], Field(min_length=1), AfterValidator(each)] = FAMILIES

    def rows(self, pools: Sequence[Tensor], size: int, step: int, seeds: Sequence[int]) -> list[Tensor]:
        """The next ``size`` rows of each domain's endless sequence of permutations."""
        return epochs.rows(pools, size, step, seeds)

    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Each image as it is, or under a shift of one of the families."""
        from dgbench.data.shifts import shift

        count = len(x)
        picked = torch.randint(len(self.shifts) + 1, (count,), generator=generator).tolist()
        seeds = torch.randint(2**62, (count,), generator=generator).tolist()
        images = x.permute(0, 2, 3, 1).cpu().numpy()
        drawn = x.clone()
        for row, (family, seed) in enumerate(zip(picked, seeds, strict=True)):
            if family < len(self.shifts):
                shifted = shift(images[row], self.shifts[family], seed)
                drawn[row] = torch.from_numpy(shifted).permute(2, 0, 1)
        return drawn

    def families(self) -> frozenset[str]:
        """Those that shifts are drawn from."""
        return frozenset(self.shifts)

    def without(self, families: frozenset[str]) -> Sampler | None:
        """The others; where there are none, images stay as they are."""
        left = tuple(family for family in self.shifts if family not in families)
        return Crafted(left) if left else Balanced("none")
