"""Domain-balanced batches, the sampling of DomainBed.

Gulrajani and Lopez-Paz: In Search of Lost Domain Generalization. ICLR 2021.

Every step takes the same number of images from each source domain. Deviation: DomainBed draws with replacement; here
each domain is gone through in a fresh permutation each epoch, so every image is seen equally often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from dgbench.algorithms.later import Normal, Tensor, torch
from dgbench.algorithms.samplers import epochs
from dgbench.algorithms.slots import Sampler

_FAMILIES = {
    "none": frozenset[str](),
    "crop": frozenset({"geometric"}),
    "domainbed": frozenset({"arithmetic", "color", "contrast", "geometric"}),
    "rand_augment": frozenset({"arithmetic", "color", "contrast", "geometric"}),
    "augmix": frozenset({"arithmetic", "color", "contrast", "geometric"}),
}
"""The shift families that each augmentation touches."""


@dataclass(frozen=True)
class Balanced(Sampler):
    """The same number of images from each source domain.

    Attributes:
        augmentation: ``crop`` moves each image by up to a sixteenth of its side; ``domainbed`` crops and resizes,
            flips, changes colours and makes some images gray, as DomainBed does; ``rand_augment`` crops and flips
            likewise, then applies two operations of RandAugment; ``augmix`` crops and flips likewise, then mixes each
            image with chains of operations, as AugMix does; ``none`` leaves images alone.
    """

    version: ClassVar[int] = 2

    augmentation: Literal["none", "crop", "domainbed", "rand_augment", "augmix"] = "crop"

    def rows(self, pools: Sequence[Tensor], size: int, step: int, seeds: Sequence[int]) -> list[Tensor]:
        """The next ``size`` rows of each domain's endless sequence of permutations."""
        return epochs.rows(pools, size, step, seeds)

    def augments(self) -> bool:
        """Unless the augmentation is ``none``."""
        return self.augmentation != "none"

    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """As ``augmentation`` says; images keep their size."""
        from dgbench.data.augment.augmix import augmix
        from dgbench.data.augment.crop import flip_, pad_crop, random_resized_crop
        from dgbench.data.augment.domainbed import domainbed
        from dgbench.data.augment.rand_augment import rand_augment

        size = (x.shape[-2], x.shape[-1])
        match self.augmentation:
            case "none":
                return x.clone()
            case "crop":
                return pad_crop(x, generator, pad=size[1] // 16)
            case "domainbed":
                return domainbed(x, generator, size)
            case "rand_augment" | "augmix":
                cropped = random_resized_crop(x, generator, size, scale=(0.7, 1.0))
                change = rand_augment if self.augmentation == "rand_augment" else augmix
                return change(flip_(cropped, generator), generator)

    def augmented(self, x: Tensor, generator: torch.Generator, normal: Normal) -> Tensor:
        """DomainBed's colours and the network's are one pass."""
        if self.augmentation == "domainbed":
            from dgbench.data.augment.domainbed import domainbed

            return domainbed(x, generator, (x.shape[-2], x.shape[-1]), normal)
        return normal(self.augment(x, generator))

    def families(self) -> frozenset[str]:
        """Of what training images are changed by."""
        return _FAMILIES[self.augmentation]

    def without(self, families: frozenset[str]) -> Sampler | None:
        """Without its one family images stay as they are; of augmentations of several families none is a part."""
        trained = self.families()
        if trained and trained <= families:
            return replace(self, augmentation="none")
        return super().without(families)
