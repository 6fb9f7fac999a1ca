"""Crop, flip and colours of one image on a CPU, in as few passes over its pixels as there can be.

The functions do what those of :mod:`dgbench.data.augment.crop` and :mod:`dgbench.data.augment.color` do, in half of the
time: what lies in the cache is changed there, plane by plane where that is possible, and no memory is asked for anew.
An image has no fixed scale here: it comes with the value that stands for white, and that is what a factor for the whole
image divides. So uint8 images need no scaling, and values are clipped only where they can be out of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.data.pixels.normal import Normal

LUMA = (0.2989, 0.587, 0.114)
"""What red, green and blue give to gray, as in torchvision."""
_LUMA = torch.tensor(LUMA)

HUE, GRAY = 3, 4
"""The numbers of two changes; those before are brightness, contrast and saturation."""


def cut(image: Tensor, box: Sequence[int], out: Tensor, *, mirrored: bool = False) -> None:
    """Write a box of an image, resized bilinearly with antialiasing, and perhaps mirrored left to right.

    Args:
        image: ``[1, c, h, w]``, uint8 or float. uint8 is fastest where colours lie side by side in memory, and only a
            slice of a batch says that they do: to torch an image that got its first dimension anew has no such layout.
        box: Top, left, height and width in pixels.
        out: ``[c, *size]`` of the same type.
        mirrored: Whether to mirror.
    """
    top, left, h, w = box
    size = [int(side) for side in out.shape[1:]]
    found = F.interpolate(image[..., top : top + h, left : left + w], size, mode="bilinear", antialias=True)[0].numpy()
    # NumPy takes colours that lie side by side apart in half the time that torch needs, and mirrors on the way.
    out.numpy()[...] = found[..., ::-1] if mirrored else found


def jitter(
    x: Tensor, white: float, changes: Sequence[int], amounts: Sequence[float], other: Tensor, spare: Tensor
) -> tuple[Tensor, float]:
    """Change an image; the answer is in which of the first two tensors it then is, and what stands for white.

    Args:
        x: Float ``[3, h, w]`` in [0, white], overwritten.
        white: Above 0.
        changes: Brightness (0), contrast, saturation, hue and gray (4): which comes first, second, third, ...
        amounts: Of each: a factor above 0, of hue a share of the circle; nothing is read of gray's.
        other: Memory of the same shape, where the image is after its hue was turned.
        spare: Memory of the same shape, overwritten.
    """
    for change, amount in zip(changes, amounts, strict=True):
        if change == HUE:
            _turn_hue(x, amount, other, spare)
            x, other = other, x
        else:
            white = _IN_PLACE[change](x, white, amount, spare[0])
    return x, white


def normalise(x: Tensor, white: float, normal: Normal, out: Tensor) -> None:
    """Write an image ``[3, h, w]`` in [0, white] as a network wants it; ``out`` may be the image."""
    for plane, target, shift, std in zip(x.unbind(), out.unbind(), _shifts(normal), normal.std, strict=True):
        torch.add(shift, plane, alpha=1 / (white * std), out=target)


@lru_cache(maxsize=64)
def _shifts(normal: Normal) -> list[Tensor]:
    return [torch.tensor(-mean / std) for mean, std in zip(normal.mean, normal.std, strict=True)]


def _clip(x: Tensor, white: float, factor: float) -> float:
    """White again; factors up to 1 leave nothing out of range."""
    if factor > 1:
        x.clamp_(0, white)
    return white


def _brighten(x: Tensor, white: float, factor: float, _: Tensor) -> float:
    return _clip(x, white / factor, factor)


def _add_contrast(x: Tensor, white: float, factor: float, _: Tensor) -> float:
    mean = sum(share * value for share, value in zip(LUMA, x.mean((1, 2)).tolist(), strict=True))
    x.add_((1 / factor - 1) * mean)
    return _clip(x, white / factor, factor)


def _saturate(x: Tensor, white: float, factor: float, plane: Tensor) -> float:
    x.add_(_luma(x, 1 / factor - 1, plane))
    return _clip(x, white / factor, factor)


def _luma(x: Tensor, scale: float, out: Tensor) -> Tensor:
    torch.mv(x.flatten(1).T, _LUMA * scale, out=out.view(-1))
    return out


def _gray(x: Tensor, white: float, _: float, plane: Tensor) -> float:
    x.copy_(_luma(x, 1, plane))
    return white


def _turn_hue(x: Tensor, share: float, out: Tensor, spare: Tensor) -> None:
    """Whole thirds of the circle swap channels; what is left, up to a sixth to either side, is linear but for clipping.

    With ``t`` sixths towards the channel ``after``, and ``low`` and ``high`` the least and greatest channel of a pixel,
    a channel becomes ``channel - after + (2 t - 1) before + (1 - t) (low + high)``, clipped to between low and high.
    In each sixth of the circle that is the linear piece of the hexagon, or lies beyond the bound that the piece is at.
    """
    thirds = round(3 * share)
    sixths = 6 * share - 2 * thirds
    after, rest = (1, abs(sixths)) if sixths > 0 else (-1, abs(sixths))
    # NumPy calls what it can in less time; torch alone multiplies and adds with one rounding.
    planes, (low, high, both) = x.numpy(), spare.numpy()
    np.maximum(np.maximum(planes[0], planes[1], out=high), planes[2], out=high)
    np.minimum(np.minimum(planes[0], planes[1], out=low), planes[2], out=low)
    np.add(low, high, out=both)
    channels, turned = x.unbind(), out.numpy()
    for number, target in enumerate(out.unbind()):
        own = number - thirds
        np.subtract(planes[own % 3], planes[(own + after) % 3], out=turned[number])
        target.add_(channels[(own - after) % 3], alpha=2 * rest - 1)
    least, greatest, sums = spare.unbind()
    out.add_(sums, alpha=1 - rest).clamp_(least, greatest)


_IN_PLACE = {0: _brighten, 1: _add_contrast, 2: _saturate, GRAY: _gray}
