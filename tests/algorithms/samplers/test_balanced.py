"""What the balanced sampler makes of images, and what it says about it."""

from typing import get_args, get_type_hints

import pytest
import torch

from dgbench.algorithms.samplers.balanced import Balanced
from dgbench.core.shift_families import FAMILIES
from dgbench.data.augment.augmix import OPERATIONS, augmix
from dgbench.data.augment.crop import flip_, pad_crop, random_resized_crop
from dgbench.data.augment.domainbed import domainbed
from dgbench.data.augment.rand_augment import ENTRIES, rand_augment
from dgbench.data.pixels.normal import PLAIN, Normal

AUGMENTATIONS = get_args(get_type_hints(Balanced)["augmentation"])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (12, 3, 32, 40), dtype=torch.uint8, generator=seeded(1))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_keep_their_size_and_their_range(name: str, images: torch.Tensor) -> None:
    sampler = Balanced(augmentation=name)  # type: ignore[arg-type]
    before = images.clone()
    x = sampler.augment(images, seeded())
    assert x.shape == images.shape
    unit = PLAIN(x.clone())
    assert unit.min() >= 0
    assert unit.max() <= 1
    assert torch.equal(x, sampler.augment(images, seeded()))
    assert torch.equal(unit, images.float() / 255) == (not sampler.augments())
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_network_sees_augmented_images_less_the_mean_in_units_of_the_deviation(
    name: str, images: torch.Tensor
) -> None:
    sampler = Balanced(augmentation=name)  # type: ignore[arg-type]
    normal = Normal((0.4, 0.5, 0.6), (0.1, 0.2, 0.5))
    unit = PLAIN(sampler.augment(images, seeded()))
    wanted = torch.stack([(unit[:, c] - normal.mean[c]) / normal.std[c] for c in range(3)], 1)
    got = sampler.augmented(images, seeded(), normal)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_each_name_is_what_it_says(images: torch.Tensor) -> None:
    assert torch.equal(Balanced(augmentation="none").augment(images, seeded()), images)
    assert torch.equal(Balanced().augment(images, seeded()), pad_crop(images, seeded(), pad=40 // 16))
    wide = images.repeat(1, 1, 1, 2)
    assert torch.equal(Balanced().augment(wide, seeded()), pad_crop(wide, seeded(), pad=5))
    for name, change in {"rand_augment": rand_augment, "augmix": augmix}.items():
        drawn = seeded()
        cropped = flip_(random_resized_crop(images, drawn, (32, 40), scale=(0.7, 1.0)), drawn)
        assert torch.equal(Balanced(augmentation=name).augment(images, seeded()), change(cropped, drawn))
    wanted = domainbed(images, seeded(), (32, 40))
    assert torch.equal(Balanced(augmentation="domainbed").augment(images, seeded()), wanted)


def test_families_are_those_that_the_operations_touch() -> None:
    touched = {name: Balanced(augmentation=name).families() for name in AUGMENTATIONS}
    assert touched == {
        "none": frozenset(),
        "crop": {"geometric"},
        "domainbed": {"arithmetic", "color", "contrast", "geometric"},
        "rand_augment": {"geometric"}.union(*(entry.families for entry in ENTRIES)),
        "augmix": {"geometric"}.union(*(entry.families for entry in OPERATIONS)),
    }
    assert all(families <= set(FAMILIES) for families in touched.values())
