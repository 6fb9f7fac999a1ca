"""What the balanced sampler makes of images, and what it says about it."""

from typing import get_args, get_type_hints

import pytest
import torch

from dgbench.algorithms.samplers.balanced import Balanced
from dgbench.core.shift_families import FAMILIES
from dgbench.data.augment.crop import pad_crop
from dgbench.data.augment.domainbed import domainbed

AUGMENTATIONS = get_args(get_type_hints(Balanced)["augmentation"])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (12, 3, 32, 40), dtype=torch.uint8, generator=seeded(1))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_bytes_become_fractions_of_the_same_size(name: str, images: torch.Tensor) -> None:
    sampler = Balanced(augmentation=name)  # type: ignore[arg-type]
    x = sampler.augment(images, seeded())
    assert x.shape == images.shape
    assert x.dtype == torch.float32
    assert x.min() >= 0
    assert x.max() <= 1
    assert torch.equal(x, sampler.augment(images, seeded()))
    assert torch.equal(x, images.float() / 255) == (not sampler.augments())


def test_each_name_is_what_it_says(images: torch.Tensor) -> None:
    fractions = images.float() / 255
    assert torch.equal(Balanced(augmentation="none").augment(images, seeded()), fractions)
    assert torch.equal(Balanced().augment(images, seeded()), pad_crop(fractions, seeded(), pad=40 // 16))
    wanted = domainbed(images, seeded(), (32, 40))
    assert torch.equal(Balanced(augmentation="domainbed").augment(images, seeded()), wanted)


def test_families_are_those_that_the_operations_touch() -> None:
    touched = {name: Balanced(augmentation=name).families() for name in AUGMENTATIONS}
    assert touched == {
        "none": frozenset(),
        "crop": {"geometric"},
        "domainbed": {"arithmetic", "color", "contrast", "geometric"},
        "rand_augment": {"arithmetic", "color", "contrast", "geometric"},
    }
    assert all(families <= set(FAMILIES) for families in touched.values())
