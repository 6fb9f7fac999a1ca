"""Colour jitter of one image on a CPU, in as few passes over its pixels as there can be.

The functions do what those of :mod:`dgbench.data.augment.color` do, in two thirds of the time. An image has no fixed
scale here: it comes with the value that stands for white, and that is what a factor for the whole image divides. So
uint8 images need no scaling, and values are clipped only where they can be out of range.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)
"""What red, green and blue give to gray, as in torchvision."""


def jitter(image: Tensor, order: Sequence[int], amounts: Sequence[float], out: Tensor) -> None:
    """Write an image with other brightness, contrast, saturation and hue.

    Args:
        image: ``[3, h, w]``, uint8, or float in [0, 1].
        order: 0 to 3 for brightness, contrast, saturation and hue: which comes first, second, third, last.
        amounts: In this order, three factors above 0 and a share of the circle.
        out: Float ``[3, h, w]``, gets what becomes of it, in [0, 1].
    """
    x, white = (image.float(), 255.0) if image.dtype == torch.uint8 else (image.clone(), 1.0)
    for change, amount in zip(order, amounts, strict=True):
        x, white = _CHANGES[change](x, white, amount)
    torch.div(x, white, out=out)


def _clipped(x: Tensor, white: float, factor: float) -> tuple[Tensor, float]:
    """Both again; factors up to 1 leave nothing out of range."""
    if factor > 1:
        x.clamp_(0, white)
    return x, white


def _brighten(x: Tensor, white: float, factor: float) -> tuple[Tensor, float]:
    return _clipped(x, white / factor, factor)


def _add_contrast(x: Tensor, white: float, factor: float) -> tuple[Tensor, float]:
    mean = sum(share * value for share, value in zip(LUMA, x.mean((1, 2)).tolist(), strict=True))
    x.add_((1 / factor - 1) * mean)
    return _clipped(x, white / factor, factor)


def _saturate(x: Tensor, white: float, factor: float) -> tuple[Tensor, float]:
    red, green, blue = ((1 - factor) * share for share in LUMA)
    planes = x.unbind()
    gray = (planes[0] * red).add_(planes[1], alpha=green).add_(planes[2], alpha=blue)
    torch.add(gray, x, alpha=factor, out=x)
    return _clipped(x, white, factor)


def _turn_hue(x: Tensor, white: float, share: float) -> tuple[Tensor, float]:
    """Whole thirds of the circle swap channels; what is left, up to a sixth to either side, is linear but for clipping.

    With ``t`` sixths towards the channel ``after``, and ``low`` and ``high`` the least and greatest channel of a pixel,
    a channel becomes ``channel - after + (2 t - 1) before + (1 - t) (low + high)``, clipped to between low and high.
    In each sixth of the circle that is the linear piece of the hexagon, or lies beyond the bound that the piece is at.
    """
    thirds = round(3 * share)
    sixths = 6 * share - 2 * thirds
    after, rest = (1, abs(sixths)) if sixths > 0 else (-1, abs(sixths))
    planes = x.unbind()
    high, low = torch.maximum(planes[0], planes[1]), torch.minimum(planes[0], planes[1])
    torch.maximum(high, planes[2], out=high)
    torch.minimum(low, planes[2], out=low)
    both = low + high
    turned = torch.empty_like(x)
    for number, target in enumerate(turned.unbind()):
        own = number - thirds
        torch.sub(planes[own % 3], planes[(own + after) % 3], out=target)
        target.add_(planes[(own - after) % 3], alpha=2 * rest - 1).add_(both, alpha=1 - rest)
    return torch.minimum(torch.maximum(turned, low, out=turned), high, out=turned), white


_CHANGES = (_brighten, _add_contrast, _saturate, _turn_hue)
