"""Arithmetic: brightness and noise, pixel by pixel. Values are in units of the 8-bit scale, as in the paper."""

from __future__ import annotations

import io

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as tv
from PIL import Image
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, channels, either, tensor

_DARKER, _LIGHTER = (-200.0, -50.0), (50.0, 200.0)


def _add(image: Tensor, random: Random) -> Tensor:
    return image + either(random, _DARKER, _LIGHTER) / 255


def _add_elementwise(image: Tensor, random: Random) -> Tensor:
    low, high = _DARKER if random.random() < 0.5 else _LIGHTER
    return image + tensor(random.uniform(low, high, _shape(image))) / 255


def _gaussian_noise(image: Tensor, random: Random) -> Tensor:
    return image + tensor(random.normal(0, random.uniform(50, 150), _shape(image, channels(random)))) / 255


def _laplace_noise(image: Tensor, random: Random) -> Tensor:
    return image + tensor(random.laplace(0, random.uniform(50, 150), _shape(image, channels(random)))) / 255


def _poisson_noise(image: Tensor, random: Random) -> Tensor:
    """Poisson noise that is added or, with chance 1/2 for each pixel, taken away."""
    shape = _shape(image, channels(random))
    sign = random.choice([-1, 1], shape)
    return image + tensor(sign * random.poisson(random.uniform(40, 60), shape)) / 255


def _multiply(image: Tensor, random: Random) -> Tensor:
    return image * tensor(random.uniform(2, 4, (1, channels(random), 1, 1)))


def _multiply_elementwise(image: Tensor, random: Random) -> Tensor:
    return image * tensor(random.uniform(2, 4, _shape(image, channels(random))))


def _cutout(image: Tensor, random: Random) -> Tensor:
    """Five to ten black squares with a fifth of the image's side."""
    image = image.clone()
    h, w = image.shape[-2:]
    for y, x in random.uniform(0, 1, (random.integers(5, 11), 2)):
        top, left = round(y * h - h / 10), round(x * w - w / 10)
        image[..., max(0, top) : top + round(h / 5), max(0, left) : left + round(w / 5)] = 0
    return image


def _dropout(image: Tensor, random: Random) -> Tensor:
    share = random.uniform(0.2, 0.5)
    return image * tensor(random.random(_shape(image, channels(random))) >= share)


def _coarse_dropout(image: Tensor, random: Random) -> Tensor:
    share = random.uniform(0.2, 0.5)
    return image.masked_fill(_coarse(image, random, (0.02, 0.05), channels(random)) < share, 0)


def _dropout_channels(image: Tensor, random: Random) -> Tensor:
    """One or two channels become black: the paper's chance of 1/2 for each, without the draws of none and of all."""
    keep = torch.ones(1, 3, 1, 1)
    keep[0, random.permutation(3)[: random.integers(1, 3)].tolist()] = 0
    return image * keep


def _impulse_noise(image: Tensor, random: Random) -> Tensor:
    return _replace(image, tensor(random.random(_shape(image, 3))), 0.0, 1.0)


def _salt_and_pepper(image: Tensor, random: Random) -> Tensor:
    return _replace(image, tensor(random.random(_shape(image))), 0.0, 1.0)


def _coarse_salt_and_pepper(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _coarse(image, random, (0.01, 0.03)), 0.0, 1.0)


def _salt(image: Tensor, random: Random) -> Tensor:
    return _replace(image, tensor(random.random(_shape(image))), 1.0, 1.0)


def _coarse_salt(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _coarse(image, random, (0.01, 0.1)), 1.0, 1.0)


def _pepper(image: Tensor, random: Random) -> Tensor:
    return _replace(image, tensor(random.random(_shape(image))), 0.0, 0.0)


def _coarse_pepper(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _coarse(image, random, (0.01, 0.1)), 0.0, 0.0)


def _invert(image: Tensor, random: Random) -> Tensor:
    """All channels, always: the paper's chance of 1/2 for each leaves one image in eight as it was."""
    return 1 - image


def _solarize(image: Tensor, random: Random) -> Tensor:
    """Always; the paper leaves half of the images as they were."""
    return tv.solarize(image, random.uniform(32, 128) / 255)  # type: ignore[no-any-return]


def _jpeg(image: Tensor, random: Random) -> Tensor:
    """Compression of 90 to 99 per cent: quality 1 to 10."""
    pixels = (image[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=int(random.integers(1, 11)))
    return tensor(np.asarray(Image.open(file)) / 255).permute(2, 0, 1)[None]


def _shape(image: Tensor, channels: int = 1) -> tuple[int, int, int, int]:
    return (1, channels, image.shape[-2], image.shape[-1])


def _coarse(image: Tensor, random: Random, share: tuple[float, float], channels: int = 1) -> Tensor:
    """Uniform noise in blocks; across a side of 227 pixels lie ``share`` times 227 blocks, and never fewer than 3."""
    across = round(random.uniform(*share) * 227)
    cells = [max(3, min(across, side)) for side in image.shape[-2:]]
    return F.interpolate(tensor(random.random((1, channels, *cells))), image.shape[-2:], mode="nearest")


def _replace(image: Tensor, noise: Tensor, first: float, second: float) -> Tensor:
    """A quarter of the pixels become ``first`` and a quarter ``second``, by uniform noise."""
    return torch.where(noise < 0.25, first, torch.where(noise < 0.5, second, image))


ENTRIES = (
    Entry("add", _add),
    Entry("add elementwise", _add_elementwise),
    Entry("gaussian noise", _gaussian_noise),
    Entry("laplace noise", _laplace_noise),
    Entry("poisson noise", _poisson_noise),
    Entry("multiply", _multiply),
    Entry("multiply elementwise", _multiply_elementwise),
    Entry("cutout", _cutout),
    Entry("dropout", _dropout),
    Entry("coarse dropout", _coarse_dropout),
    Entry("channel dropout", _dropout_channels),
    Entry("impulse noise", _impulse_noise),
    Entry("salt and pepper", _salt_and_pepper),
    Entry("coarse salt and pepper", _coarse_salt_and_pepper),
    Entry("salt", _salt),
    Entry("coarse salt", _coarse_salt),
    Entry("pepper", _pepper),
    Entry("coarse pepper", _coarse_pepper),
    Entry("invert", _invert),
    Entry("solarize", _solarize),
    Entry("jpeg", _jpeg),
)
