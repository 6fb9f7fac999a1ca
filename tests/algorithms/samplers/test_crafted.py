"""What the sampler of crafted shifts makes of images, and that what it trains with is held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from board.synthetic import candidate, tables

from dgbench.algorithms.samplers.balanced import Balanced
from dgbench.algorithms.samplers.crafted import Crafted
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import build_part
from dgbench.core.shift_families import FAMILIES, FOLDS
from dgbench.data.shifts import shift
from dgbench.selection.criteria import choose, get, scores


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 20, 24), dtype=torch.uint8, generator=seeded(1))


def test_an_image_stays_or_goes_through_a_shift_of_a_family() -> None:
    x, sampler = images(60), Crafted(("arithmetic", "contrast"))
    drawn = sampler.augment(x, seeded(3))
    # the same numbers by hand
    generator = seeded(3)
    picked = torch.randint(3, (60,), generator=generator).tolist()
    seeds = torch.randint(2**62, (60,), generator=generator).tolist()
    for row, (family, seed) in enumerate(zip(picked, seeds, strict=True)):
        before = x[row].permute(1, 2, 0).numpy()
        wanted = before if family == 2 else shift(before, sampler.shifts[family], seed)
        assert np.array_equal(drawn[row].permute(1, 2, 0).numpy(), wanted)
    assert {0, 1, 2} == set(picked)
    assert drawn.dtype == torch.uint8
    assert torch.equal(x, images(60))
    assert torch.equal(drawn, sampler.augment(x, seeded(3)))
    assert not torch.equal(drawn, sampler.augment(x, seeded(4)))


def test_an_image_is_left_alone_as_often_as_it_meets_each_family() -> None:
    """With F families a share of 1 / (F + 1); of 600 images within four standard errors."""
    x = images(1).expand(600, -1, -1, -1)
    alone = (Crafted(("color",)).augment(x, seeded()) == x).flatten(1).all(1).float().mean().item()
    assert abs(alone - 1 / 2) < 4 * (0.25 / 600) ** 0.5 + 0.05  # a shift may leave an image as it was


def test_batches_are_those_of_the_balanced_sampler() -> None:
    pools, seeds = [torch.arange(7), torch.arange(100, 111)], [3, 4]
    for step in range(5):
        for mine, theirs in zip(
            Crafted().rows(pools, 4, step, seeds), Balanced().rows(pools, 4, step, seeds), strict=True
        ):
            assert torch.equal(mine, theirs)


def test_one_set_of_families_is_one_training() -> None:
    made = build_part("sampler", "crafted", {"shifts": ["weather", "blur", "weather"]}, "here")
    assert made == Crafted(("blur", "weather"))
    with pytest.raises(RecipeError, match=r"sampler\.shifts: Input should be 'arithmetic', 'artistic'"):
        build_part("sampler", "crafted", {"shifts": ["blurr"]}, "here")
    with pytest.raises(RecipeError, match=r"sampler\.shifts: .*at least 1 item"):
        build_part("sampler", "crafted", {"shifts": []}, "here")


def test_strict_holds_out_what_a_fold_trained_with_and_refuses_when_all_did() -> None:
    first, second = (Crafted(fold) for fold in FOLDS)
    assert first.families() | second.families() == set(FAMILIES)
    shifted = {family: {"a": 0.05 * at} for at, family in enumerate(FAMILIES)}
    one = candidate("erm", shifted=shifted, trained=first.families())
    assert scores(*tables([one]), get("augmented"))["views"].to_list() == [sorted(second.families())]
    all_of_them = candidate("erm", shifted=shifted, trained=Crafted().families())
    with pytest.raises(RecipeError, match=f"its candidates trained with {', '.join(FAMILIES)}"):
        choose(*tables([all_of_them]), get("augmented"))
