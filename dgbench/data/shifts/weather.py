"""Weather: snow on the ground; clouds, fog, snowflakes and rain in front of it.

The paper's library composes these from many noise layers; here each is one layer that looks alike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, odd, tensor, uniform, zoom
from dgbench.data.shifts.filters import correlate, line


def _snowy_landscape(image: Tensor, random: Random) -> Tensor:
    """What is darker than a lightness of 140 to 255 becomes 2.5 to 4 times as light."""
    lightness = (image.amax(1, keepdim=True) + image.amin(1, keepdim=True)) / 2
    dark = (lightness < random.uniform(140, 255) / 255).float()
    return image * dark.mul_(random.uniform(2.5, 4) - 1).add_(1)


def _clouds(image: Tensor, random: Random) -> Tensor:
    """White patches with clear sky between them."""
    density = (2.5 * (_smooth_noise(image, random, (2, 4, 8)) - random.uniform(0.3, 0.5))).clamp(0, 1)
    return _cover(image, density, random.uniform(0.8, 1.0))


def _fog(image: Tensor, random: Random) -> Tensor:
    """A veil everywhere, thicker in some places."""
    density = random.uniform(0.4, 0.6) + 0.5 * (_smooth_noise(image, random, (1, 2, 4)) - 0.5)
    return _cover(image, density, random.uniform(0.7, 0.95))


def _snowflakes(image: Tensor, random: Random) -> Tensor:
    """Flakes of .3 to .8 of the largest size, blurred a little along their fall."""
    size = random.uniform(0.3, 0.8) * 12 * zoom(image)
    flakes = _specks(image, random, random.uniform(0.04, 0.1), size)
    fall = correlate(flakes, line(odd(5 * zoom(image)), random.uniform(60, 120), 0))
    return _cover(image, fall, 1.0)


def _rain(image: Tensor, random: Random) -> Tensor:
    """Bright streaks of 20 to 40 pixels, up to 20 degrees off the vertical."""
    length = odd(random.uniform(20, 40) * zoom(image))
    drops = _specks(image, random, random.uniform(0.05, 0.12), 1)
    streaks = correlate(drops, line(length, 90 + random.uniform(-20, 20), 0)) * (0.6 * length)
    return _cover(image, streaks.clamp(max=0.8), random.uniform(0.7, 0.9))


def _smooth_noise(image: Tensor, random: Random, cells: tuple[int, ...]) -> Tensor:
    """Mean of noise that is smooth on several scales, coarse ones weighing most, ``[1, 1, h, w]`` in [0, 1]."""
    layers = [tensor(random.random((1, 1, n + 1, n + 1))) for n in cells]
    grown = [F.interpolate(layer, image.shape[-2:], mode="bilinear", align_corners=True) for layer in layers]
    weights = [1 / n for n in cells]
    noise = torch.stack([w * layer for w, layer in zip(weights, grown, strict=True)]).sum(0)
    return noise / sum(weights)


def _specks(image: Tensor, random: Random, share: float, size: float) -> Tensor:
    """Random points, grown to blocks of ``size`` pixels; ``share`` of the image is covered, about."""
    block = max(1, round(size))
    h, w = image.shape[-2:]
    points = uniform(random, 0, 1, (1, 1, -(-h // block), -(-w // block))) < share
    grown = points.float().repeat_interleave(block, -2).repeat_interleave(block, -1)
    return grown[..., :h, :w].contiguous()


def _cover(image: Tensor, density: Tensor, brightness: float) -> Tensor:
    return torch.lerp(image, torch.tensor(brightness), density)


ENTRIES = (
    Entry("snowy landscape", _snowy_landscape),
    Entry("clouds", _clouds),
    Entry("fog", _fog),
    Entry("snowflakes", _snowflakes),
    Entry("rain", _rain),
)
