"""Batch augmentation against torchvision, one image at a time, and against what must hold of any augmentation."""

import colorsys
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as tv
from PIL import Image
from scipy import stats
from smooth import pictures, seeded
from torch import Tensor
from torchvision import transforms

from dgbench.data.augment import rand_augment as ra
from dgbench.data.augment.color import CHANGES, color_jitter, draw_changes, grayscale_
from dgbench.data.augment.crop import (
    draw_boxes,
    flip_,
    gathered_shift,
    pad_crop,
    product_crop,
    random_resized_crop,
    resized_crop,
)
from dgbench.data.augment.domainbed import domainbed, image_by_image, one_after_another
from dgbench.data.augment.one_image import jitter
from dgbench.data.augment.rows import all_at_once, in_turn
from dgbench.data.pixels.normal import PLAIN, Normal

REFERENCE = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation, tv.adjust_hue)
RARE = 1e-3
"""Samples of one distribution differ more than a test allows with this chance, and the seeds are fixed."""


def alike(first: object, second: object) -> bool:
    return bool(stats.ks_2samp(np.asarray(first), np.asarray(second)).pvalue > RARE)


# Shifts by a few pixels


def shifted(x: Tensor, seed: int = 0, pad: int = 2) -> Tensor:
    return pad_crop(x, seeded(seed), pad)


def test_every_image_is_a_crop_of_its_padded_self() -> None:
    x = torch.rand(40, 3, 6, 9)
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
    found = set()
    for image, original in zip(shifted(x), padded, strict=True):
        places = [(i, j) for i in range(5) for j in range(5) if torch.equal(original[:, i : i + 6, j : j + 9], image)]
        assert len(places) == 1
        found.add(places[0])
    assert len(found) > 10, "offsets are drawn for each image"


def test_all_shifts_are_drawn_equally_often() -> None:
    x = torch.arange(9.0).expand(5000, 1, 9, 9)
    centre = shifted(x, pad=2)[:, 0, 4, 4] - 4
    counts = torch.bincount((centre + 2).long(), minlength=5)
    assert ((counts - 1000).abs() < 150).all()


def test_the_generator_decides_and_no_padding_changes_nothing() -> None:
    x = torch.rand(8, 3, 16, 16)
    assert torch.equal(shifted(x, 1), shifted(x, 1))
    assert not torch.equal(shifted(x, 1), shifted(x, 2))
    assert torch.equal(shifted(x, pad=0), x)
    assert shifted(x.double()).dtype == torch.float64


def test_whole_numbers_are_shifted_as_their_fractions_are() -> None:
    x = pictures(8)
    assert torch.equal(shifted(x, 3).float() / 255, shifted(x.float() / 255, 3))


def test_a_shift_of_colours_side_by_side_and_of_a_whole_batch_is_the_same() -> None:
    x = pictures(20, 12, 17)
    shifts = torch.randint(0, 7, (2, 20), generator=seeded(4)) - 3
    wanted = shifted(x, 4, pad=3)
    assert torch.equal(shifted(x.contiguous(memory_format=torch.channels_last), 4, pad=3), wanted)
    assert torch.equal(gathered_shift(x, shifts), wanted)


# Crops and flips


@pytest.mark.parametrize("size", [(32, 32), (16, 40)])
def test_a_crop_is_torchvisions_on_pil_images(size: tuple[int, int]) -> None:
    x = pictures(30, 45, 61)
    boxes = draw_boxes(30, (45, 61), seeded(), (0.1, 1.0), (0.5, 2.0))
    for source in (x, x.contiguous(memory_format=torch.channels_last)):
        for image, box, got in zip(x, boxes.tolist(), resized_crop(source, boxes, size), strict=True):
            want = tv.resized_crop(tv.to_pil_image(image), *box, list(size))
            assert np.abs(np.asarray(want).astype(int) - got.permute(1, 2, 0).numpy()).max() <= 1


def test_a_crop_of_fractions_is_torchvisions() -> None:
    x = torch.rand(20, 3, 23, 17)
    boxes = draw_boxes(20, (23, 17), seeded(), (0.1, 1.0), (0.5, 2.0))
    for image, box, got in zip(x, boxes.tolist(), resized_crop(x, boxes, (12, 14)), strict=True):
        torch.testing.assert_close(got, tv.resized_crop(image, *box, [12, 14], antialias=True), atol=1e-5, rtol=0)


def test_other_devices_crop_by_products_of_matrices_with_the_same_result() -> None:
    x = pictures(20, 45, 61)
    boxes = draw_boxes(20, (45, 61), seeded(), (0.1, 1.0), (0.5, 2.0))
    torch.testing.assert_close(
        product_crop(x / 255, boxes, (24, 40)), resized_crop(x / 255, boxes, (24, 40)), atol=1e-5, rtol=0
    )
    assert (product_crop(x, boxes, (24, 40)).int() - resized_crop(x, boxes, (24, 40)).int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("shape", "scale", "ratio"),
    [
        ((227, 227), (0.7, 1.0), (3 / 4, 4 / 3)),
        ((60, 100), (0.4, 1.0), (0.5, 2.0)),
        ((64, 64), (0.08, 0.3), (0.9, 3.0)),
    ],
)
def test_boxes_are_distributed_as_torchvision_draws_them(
    shape: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    torch.manual_seed(1)
    n, image = 4000, torch.empty(3, *shape)
    want = np.array([transforms.RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(n)])
    got = draw_boxes(n, shape, seeded(2), scale, ratio).numpy()
    for measure in (
        lambda b: b[:, 2] * b[:, 3],
        lambda b: np.log(b[:, 3] / b[:, 2]),
        lambda b: b[:, 0],
        lambda b: b[:, 1],
        lambda b: b[:, 0] + b[:, 2],
        lambda b: b[:, 1] + b[:, 3],
        lambda b: b[:, 2] - b[:, 3] + b[:, 0],
    ):
        assert alike(measure(want), measure(got))


@pytest.mark.parametrize("shape", [(20, 60), (60, 20), (50, 50)])
def test_a_box_that_cannot_fit_is_the_middle(shape: tuple[int, int]) -> None:
    scale, ratio = (1.5, 2.0), (3 / 4, 4 / 3)
    want = transforms.RandomResizedCrop.get_params(torch.empty(3, *shape), list(scale), list(ratio))
    assert draw_boxes(5, shape, seeded(), scale, ratio).tolist() == [list(want)] * 5


def test_half_of_the_images_are_mirrored() -> None:
    x = torch.arange(2, dtype=torch.uint8).expand(6000, 1, 1, 2)
    flipped = flip_(x.clone(), seeded())
    share = (flipped[:, 0, 0, 0] == 1).double().mean().item()
    assert flipped.sum(3).eq(1).all()
    assert abs(share - 0.5) < 4 * math.sqrt(0.25 / 6000)


# Colours


def jittered(image: Tensor, white: float, changes: list[int], amounts: list[float]) -> Tensor:
    memory = image.float().clone()
    other, spare = torch.full((2, *memory.shape), math.nan)
    x, scale = jitter(memory, white, changes, amounts, other, spare)
    return x / scale


@pytest.mark.parametrize("change", range(4))
@pytest.mark.parametrize("amount", [-0.5, -0.43, -0.3, -0.17, -0.04, 0.0, 0.09, 0.21, 0.3, 1 / 3, 0.48])
def test_a_change_of_colours_is_torchvisions_on_fractions(change: int, amount: float) -> None:
    x = pictures(6)
    value = amount if change == 3 else 1 + amount
    want = REFERENCE[change](x / 255, value)
    together = torch.empty(x.shape)
    all_at_once(x, together, CHANGES, torch.full((6, 1), change), torch.full((6, 1), value))
    torch.testing.assert_close(together, want, atol=1e-5, rtol=0)
    for image, target in zip(x, want, strict=True):
        torch.testing.assert_close(jittered(image, 255, [change], [value]), target, atol=1e-5, rtol=0)


@pytest.mark.parametrize("make", [lambda x: x, lambda x: x / 255], ids=["uint8", "float"])
def test_jitter_is_torchvisions_changes_in_the_order_drawn(make: Callable[[Tensor], Tensor]) -> None:
    x = pictures(60)
    before = x.clone()
    order, amounts = draw_changes(60, seeded(3), (0.5, 0.6, 0.7, 0.5))
    got = color_jitter(make(x), seeded(3), 0.5, 0.6, 0.7, 0.5)
    assert len({tuple(o) for o in order.tolist()}) > 15
    for image, numbers, values, result in zip(x / 255, order.tolist(), amounts.tolist(), got, strict=True):
        for number, value in zip(numbers, values, strict=True):
            image = REFERENCE[number](image, value)
        # Contrast and saturation widen what rounding left of the changes before them.
        torch.testing.assert_close(result, image, atol=2e-5, rtol=0)
    assert torch.equal(x, before)
    assert got.min() >= 0
    assert got.max() <= 1


def test_a_turned_hue_is_that_of_colorsys() -> None:
    x = torch.rand(3, 40, 5, generator=seeded())
    for share in (-0.4, -0.1, 0.25, 0.5):
        out = jittered(x, 1, [3], [share])
        for before, after in zip(x.flatten(1).T.tolist(), out.flatten(1).T, strict=True):
            h, s, v = colorsys.rgb_to_hsv(*before)
            want = torch.tensor(colorsys.hsv_to_rgb((h + share) % 1, s, v))
            torch.testing.assert_close(after, want, atol=2e-6, rtol=0)


def test_what_was_jittered_can_be_trained_on() -> None:
    x = color_jitter(pictures(2), seeded())
    weight = torch.ones(4, 3, 3, 3, requires_grad=True)
    F.conv2d(x, weight).sum().backward()
    assert weight.grad is not None


def test_changes_are_distributed_as_torchvision_draws_them() -> None:
    torch.manual_seed(1)
    n, strengths = 3000, (0.3, 0.4, 0.2, 0.3)
    about = [(1 - s, 1 + s) for s in strengths[:3]]
    drawn = [transforms.ColorJitter.get_params(*about, (-0.3, 0.3)) for _ in range(n)]
    order, amounts = draw_changes(n, seeded(2), strengths)
    by_change = torch.empty(n, 4).scatter(1, order, amounts)
    for change in range(4):
        assert alike([d[change + 1] for d in drawn], by_change[:, change])
    permutations = torch.unique(order, dim=0, return_counts=True)[1]
    assert len(permutations) == 24
    assert stats.chisquare(permutations.numpy()).pvalue > RARE
    assert abs(np.corrcoef(by_change.T.numpy()) - np.eye(4)).max() < 4 / math.sqrt(n)


def test_a_tenth_of_the_images_becomes_gray() -> None:
    x = torch.rand(3000, 3, 2, 2, generator=seeded(5))
    got = grayscale_(x.clone(), seeded())
    gray = (got[:, 0] == got[:, 2]).all((1, 2))
    assert abs(gray.double().mean().item() - 0.1) < 4 * math.sqrt(0.09 / 3000)
    torch.testing.assert_close(got[gray], tv.rgb_to_grayscale(x[gray], 3))
    assert torch.equal(got[~gray], x[~gray])


# The whole


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_fused_augmentation_is_torchvisions_functions_one_after_another(layout: torch.memory_format) -> None:
    n, size, random = 60, (24, 32), seeded(6)
    normal = Normal((0.4, 0.5, 0.6), (0.1, 0.2, 0.5))
    x = pictures(n, 35, 41).contiguous(memory_format=layout)
    before = x.clone()
    got = domainbed(x, seeded(6), size, normal)
    boxes = draw_boxes(n, (35, 41), random, (0.7, 1.0), (3 / 4, 4 / 3))
    mirrored = torch.rand(n, generator=random) < 0.5
    order, amounts = draw_changes(n, random, (0.3, 0.3, 0.3, 0.3))
    gray = torch.rand(n, generator=random) < 0.1
    assert 0 < gray.sum() < n
    for row, image in enumerate(x):
        image = tv.resized_crop(image, *boxes[row].tolist(), list(size), antialias=True)
        image = (tv.hflip(image) if mirrored[row] else image) / 255
        for number, value in zip(order[row].tolist(), amounts[row].tolist(), strict=True):
            image = REFERENCE[number](image, value)
        image = tv.rgb_to_grayscale(image, 3) if gray[row] else image
        wanted = tv.normalize(image, list(normal.mean), list(normal.std))
        torch.testing.assert_close(got[row], wanted, atol=1e-4, rtol=0)
    assert torch.equal(x, before)


@pytest.mark.parametrize("make", [lambda x: x, lambda x: x / 255], ids=["uint8", "float"])
def test_an_image_at_a_time_becomes_what_a_whole_batch_becomes(make: Callable[[Tensor], Tensor]) -> None:
    x = make(pictures(60, 35, 41))
    alone = image_by_image(x, seeded(2), (24, 32), PLAIN)
    together = one_after_another(x, seeded(2), (24, 32), PLAIN)
    torch.testing.assert_close(alone, together, atol=2e-5, rtol=0)


def test_batches_are_distributed_as_torchvisions_pil_pipeline() -> None:
    n = 1200
    image = pictures(1, 36, 36, seed=4)
    pipeline = transforms.Compose(
        [
            transforms.RandomResizedCrop(32, scale=(0.7, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.3, 0.3, 0.3, 0.3),
            transforms.RandomGrayscale(),
            transforms.ToTensor(),
        ]
    )
    torch.manual_seed(1)
    picture = Image.fromarray(image[0].permute(1, 2, 0).numpy())
    want = torch.stack([pipeline(picture) for _ in range(n)])
    got = domainbed(image.expand(n, -1, -1, -1), seeded(2), (32, 32))
    assert got.shape == want.shape
    for measure in (
        lambda x: x.mean((2, 3)).T,
        lambda x: x.std((2, 3)).T,
        lambda x: (x[..., :16].mean((2, 3)) - x[..., 16:].mean((2, 3))).T,
        lambda x: x[:, :, 10, 10].T,
        lambda x: (x.amax(1) - x.amin(1)).mean((1, 2))[None],
        lambda x: x.diff(dim=3).abs().mean((1, 2, 3))[None],
    ):
        for first, second in zip(measure(want), measure(got), strict=True):
            # 8-bit rounding after each step makes grays of PIL exact where ours differ in the seventh digit.
            assert alike((first * 500).round(), (second * 500).round())


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "crop": lambda x, g: random_resized_crop(x, g, (16, 16)),
    "flip": lambda x, g: flip_(x.clone(), g),
    "jitter": color_jitter,
    "gray": lambda x, g: grayscale_(x / 255, g),
    "domainbed": lambda x, g: domainbed(x, g, (16, 16)),
    "rand_augment": ra.rand_augment,
}


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_the_seed_decides_and_images_do_not_touch_each_other(
    augment: Callable[[Tensor, torch.Generator], Tensor],
) -> None:
    x = pictures(24)
    got = augment(x, seeded(1))
    assert torch.equal(got, augment(x, seeded(1)))
    assert not torch.equal(got, augment(x, seeded(2)))
    other = pictures(24, seed=9)
    other[7] = x[7]
    assert torch.equal(augment(other, seeded(1))[7], got[7])


def test_images_alone_and_together_change_alike() -> None:
    x = pictures(40)
    for operations, chosen, amounts in (
        (CHANGES, *draw_changes(40, seeded(), (0.3, 0.3, 0.3, 0.3))),
        (
            [entry.apply for entry in ra.ENTRIES],
            torch.randint(len(ra.ENTRIES), (40, 3), generator=seeded()),
            2 * torch.rand(40, 3, generator=seeded(1)) - 1,
        ),
    ):
        together = torch.empty(x.shape)
        all_at_once(x, together, operations, chosen, amounts)
        # A place between two pixels may be nearest to either.
        close = (in_turn(x, operations, chosen, amounts) - together).abs() < 1e-5
        assert close.double().mean() > 0.999
