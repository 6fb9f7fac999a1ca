"""Arithmetic: brightness and noise, pixel by pixel. Values are in units of the 8-bit scale, as in the paper."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.special import pdtr
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, channels, either, planes, tensor, uniform
from dgbench.data.shifts.filters import levels

_DARKER, _LIGHTER = (-200.0, -50.0), (50.0, 200.0)


def _add(image: Tensor, random: Random) -> Tensor:
    return image + either(random, _DARKER, _LIGHTER) / 255


def _add_elementwise(image: Tensor, random: Random) -> Tensor:
    low, high = _DARKER if random.random() < 0.5 else _LIGHTER
    return image + uniform(random, low / 255, high / 255, _shape(image))


def _gaussian_noise(image: Tensor, random: Random) -> Tensor:
    sd = random.uniform(50, 150)
    noise = torch.from_numpy(random.standard_normal(_shape(image, channels(random)), np.float32))
    return image + noise.mul_(sd / 255)


def _laplace_noise(image: Tensor, random: Random) -> Tensor:
    scale = random.uniform(50, 150)
    sides = uniform(random, -1, 1, _shape(image, channels(random)))
    # Laplace's distribution is an exponential one with a sign; -1 gives infinity, which is clipped.
    return image + sides.abs().neg_().log1p_().copysign_(sides).mul_(scale / 255)


def _poisson_noise(image: Tensor, random: Random) -> Tensor:
    """Poisson noise that is added or, with chance 1/2 for each pixel, taken away."""
    mean = random.uniform(40, 60)
    # By the inverse of its distribution function, at 2^15 equal steps; the sixteenth bit is the sign.
    values = np.arange(256)
    upto = np.rint(pdtr(values, mean) * 2**15).astype(int)
    quantiles = np.repeat(values, np.diff(upto, prepend=0))
    table = np.concatenate((quantiles, -quantiles)).astype(np.float32) / 255
    which = random.integers(0, 2**16, _shape(image, channels(random)), np.uint16)
    return image + torch.from_numpy(np.take(table, which))


def _multiply(image: Tensor, random: Random) -> Tensor:
    return image * tensor(random.uniform(2, 4, (1, channels(random), 1, 1)))


def _multiply_elementwise(image: Tensor, random: Random) -> Tensor:
    return image * uniform(random, 2, 4, _shape(image, channels(random)))


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
    return image * (uniform(random, 0, 1, _shape(image, channels(random))) >= share).float()


def _coarse_dropout(image: Tensor, random: Random) -> Tensor:
    share = random.uniform(0.2, 0.5)
    return image * (_coarse(image, random, (0.02, 0.05), channels(random)) >= share).float()


def _dropout_channels(image: Tensor, random: Random) -> Tensor:
    """One or two channels become black: the paper's chance of 1/2 for each, without the draws of none and of all."""
    keep = torch.ones(1, 3, 1, 1)
    keep[0, random.permutation(3)[: random.integers(1, 3)].tolist()] = 0
    return image * keep


def _impulse_noise(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _noise(image, random, 3), 0.0, 1.0)


def _salt_and_pepper(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _noise(image, random), 0.0, 1.0)


def _coarse_salt_and_pepper(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _coarse(image, random, (0.01, 0.03)), 0.0, 1.0)


def _salt(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _noise(image, random), 1.0, 1.0)


def _coarse_salt(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _coarse(image, random, (0.01, 0.1)), 1.0, 1.0)


def _pepper(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _noise(image, random), 0.0, 0.0)


def _coarse_pepper(image: Tensor, random: Random) -> Tensor:
    return _replace(image, _coarse(image, random, (0.01, 0.1)), 0.0, 0.0)


def _invert(image: Tensor, random: Random) -> Tensor:
    """All channels, always: the paper's chance of 1/2 for each leaves one image in eight as it was."""
    return 1 - image


def _solarize(image: Tensor, random: Random) -> Tensor:
    """Always; the paper leaves half of the images as they were."""
    light = (image >= random.uniform(32, 128) / 255).float()
    return torch.addcmul(image, light, 1 - 2 * image)


def _jpeg(image: Tensor, random: Random) -> Tensor:
    """Compression of 90 to 99 per cent: quality 1 to 10."""
    pixels = np.ascontiguousarray(levels(image).transpose(1, 2, 0))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=int(random.integers(1, 11)))
    return planes(np.asarray(Image.open(file)))


def _shape(image: Tensor, channels: int = 1) -> tuple[int, int, int, int]:
    return (1, channels, image.shape[-2], image.shape[-1])


def _noise(image: Tensor, random: Random, channels: int = 1) -> Tensor:
    """Uniform noise, pixel by pixel, in 256 steps from 0 on."""
    shape = _shape(image, channels)
    steps = np.frombuffer(random.bytes(math.prod(shape)), np.uint8).astype(np.float32)
    return torch.from_numpy(steps).view(shape).div_(256)


def _coarse(image: Tensor, random: Random, share: tuple[float, float], channels: int = 1) -> Tensor:
    """Uniform noise in blocks; across a side of 227 pixels lie ``share`` times 227 blocks, and never fewer than 3."""
    across = round(random.uniform(*share) * 227)
    cells = [max(3, min(across, side)) for side in image.shape[-2:]]
    return F.interpolate(tensor(random.random((1, channels, *cells))), image.shape[-2:], mode="nearest")


def _replace(image: Tensor, noise: Tensor, first: float, second: float) -> Tensor:
    """A quarter of the pixels become ``first`` and a quarter ``second``, by uniform noise."""
    # Products, not torch.where: a processor cannot foresee noise.
    kept = image * (noise >= 0.5).float()
    if second:
        kept += ((noise < 0.5) & (noise >= (0 if first else 0.25))).float()
    return kept


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
