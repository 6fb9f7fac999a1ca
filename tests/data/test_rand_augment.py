"""RandAugment against torchvision, operation by operation."""

import math
from collections.abc import Callable

import pytest
import torch
import torchvision.transforms.v2.functional as tv
from smooth import pictures, seeded
from torch import Tensor

from dgbench.core.shift_families import FAMILIES
from dgbench.data.augment import rand_augment as ra


def affine(
    image: Tensor, angle: float = 0, move: tuple[int, int] = (0, 0), shear: tuple[float, float] = (0, 0)
) -> Tensor:
    centre = [0.0, 0.0] if any(shear) else None
    degrees = [math.degrees(math.atan(s)) for s in shear]
    return tv.affine(image, angle=angle, translate=list(move), scale=1.0, shear=degrees, center=centre)


def autocontrast(image: Tensor) -> Tensor:
    planes = []
    for plane in image:
        low, high = plane.min(), plane.max()
        planes.append((plane - low) / (high - low) if high > low else plane)
    return torch.stack(planes)


OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "Identity": lambda x, a: x,
    "ShearX": lambda x, a: affine(x, shear=(0.3 * a, 0)),
    "ShearY": lambda x, a: affine(x, shear=(0, 0.3 * a)),
    "TranslateX": lambda x, a: affine(x, move=(int(150 / 331 * x.shape[-1] * a), 0)),
    "TranslateY": lambda x, a: affine(x, move=(0, int(150 / 331 * x.shape[-2] * a))),
    "Rotate": lambda x, a: tv.rotate(x, 30 * a),
    "Brightness": lambda x, a: tv.adjust_brightness(x, 1 + 0.9 * a),
    "Color": lambda x, a: tv.adjust_saturation(x, 1 + 0.9 * a),
    "Contrast": lambda x, a: tv.adjust_contrast(x, 1 + 0.9 * a),
    "Posterize": lambda x, a: tv.posterize(x, 8 - round(4 * abs(a))),
    "Solarize": lambda x, a: torch.where(x >= 1 - abs(a), 1 - x, x),
    "AutoContrast": lambda x, a: autocontrast(x),
}


@pytest.mark.parametrize("entry", ra.ENTRIES, ids=[entry.name for entry in ra.ENTRIES])
@pytest.mark.parametrize("amount", [-1.0, -0.47, 0.3, 0.81])
def test_an_operation_is_torchvisions(entry: ra.Entry, amount: float) -> None:
    x = pictures(5, 40, 56) / 400 + 0.2
    x[0, 1] = 0.25
    got = x.clone()
    entry.apply(got, torch.full((5, 1, 1, 1), amount))
    for image, result in zip(x, got, strict=True):
        close = (OPERATIONS[entry.name](image, amount) - result).abs() < 1e-5
        # A place between two pixels may be nearest to either.
        assert close.double().mean() > 0.995
    assert set(entry.families) <= set(FAMILIES)
    assert (entry.name == "Identity") == torch.equal(got, x)


def test_every_image_gets_as_many_operations_as_asked_for() -> None:
    x = pictures(600, 12, 12) // 2 + 40
    unit = x.float() / 255
    once = ra.rand_augment(x, seeded(), operations=1, magnitude=1.0)
    kept = (once - unit).abs().amax((1, 2, 3)) < 1e-6
    assert abs(kept.double().mean().item() - 1 / len(ra.ENTRIES)) < 4 * math.sqrt(1 / len(ra.ENTRIES) / 600)
    torch.testing.assert_close(ra.rand_augment(x, seeded(), operations=0), unit)
    assert not torch.equal(ra.rand_augment(x, seeded(), operations=2, magnitude=1.0), once)
    assert once.min() >= 0
    assert once.max() <= 1
