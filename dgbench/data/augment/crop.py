"""Crops and flips; they touch the shift family ``geometric`` and no other."""

from __future__ import annotations

import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dgbench.data.augment.one_image import cut
from dgbench.data.augment.rows import drawn, pieces
from dgbench.data.pixels.sent import sent

ATTEMPTS = 10
"""How often a crop is drawn that does not fit into the image, before the middle is taken; as in torchvision."""

RATIO = (3 / 4, 4 / 3)
"""Smallest and largest width, as a multiple of the height; as in torchvision."""


def pad_crop(x: Tensor, generator: torch.Generator, pad: int = 2) -> Tensor:
    """Shift each image by up to ``pad`` pixels along each axis; what comes in repeats the edge.

    Args:
        x: Images ``[n, c, h, w]``, uint8 or float.
        generator: Draws the shifts, each in -pad to pad with equal chances, on a device of its own.
        pad: Largest shift, in pixels.
    """
    shifts = torch.randint(0, 2 * pad + 1, (2, len(x)), generator=generator, device=generator.device) - pad
    if x.device.type != "cpu":
        return gathered_shift(x, shifts)
    out = torch.empty_like(x)
    for image, target, (top, left) in zip(x, out, shifts.T.tolist(), strict=True):
        _shift(image.numpy(), target.numpy(), top, left)
    return out


def gathered_shift(x: Tensor, shifts: Tensor) -> Tensor:
    """Images ``[n, c, h, w]``, each moved up and left by ``[2, n]`` pixels, where there is no loop over images."""
    n, c, h, w = x.shape
    top, left = sent(shifts, x.device)[:, :, None]
    rows = (top + torch.arange(h, device=x.device)).clamp(0, h - 1)
    columns = (left + torch.arange(w, device=x.device)).clamp(0, w - 1)
    taken = (rows[:, :, None] * w + columns[:, None, :]).view(n, 1, h * w).expand(n, c, h * w)
    return x.flatten(2).gather(2, taken).view(n, c, h, w)


def _shift(image: NDArray[Any], out: NDArray[Any], top: int, left: int) -> None:
    """Write an image ``[c, h, w]``, moved up and left by so many pixels; what comes in repeats the edge."""
    h, w = image.shape[1:]
    first, last, start, stop = max(-top, 0), min(h, h - top), max(-left, 0), min(w, w - left)
    out[:, first:last, start:stop] = image[:, first + top : last + top, start + left : stop + left]
    out[:, first:last, :start] = out[:, first:last, start : start + 1]
    out[:, first:last, stop:] = out[:, first:last, stop - 1 : stop]
    out[:, :first] = out[:, first : first + 1]
    out[:, last:] = out[:, last - 1 : last]


def random_resized_crop(
    x: Tensor,
    generator: torch.Generator,
    size: tuple[int, int],
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = RATIO,
) -> Tensor:
    """A crop of random area, shape and place, resized; distributed as torchvision's ``RandomResizedCrop``.

    Args:
        x: Images ``[n, c, h, w]``, uint8 or float. On a CPU uint8 is fastest where colours lie side by side in memory.
        generator: On the CPU.
        size: Height and width of what is returned, in pixels.
        scale: Smallest and largest area, as a share of the image's.
        ratio: Smallest and largest width, as a multiple of the height.

    Returns:
        ``[n, c, *size]``, of the type that came in.
    """
    shape = (x.shape[-2], x.shape[-1])
    return resized_crop(x, draw_boxes(len(x), shape, generator, scale, ratio), size)


def draw_boxes(
    n: int,
    shape: tuple[int, int],
    generator: torch.Generator,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Tensor:
    """Top, left, height and width of each crop in pixels, int64 ``[n, 4]``: what ``RandomResizedCrop`` would draw.

    Args:
        n: How many.
        shape: Height and width of the images.
        generator: On the CPU.
        scale: Smallest and largest area, as a share of the image's.
        ratio: Smallest and largest width, as a multiple of the height.
    """
    h, w = shape
    area = torch.empty(n, ATTEMPTS).uniform_(*scale, generator=generator) * (h * w)
    aspect = torch.empty(n, ATTEMPTS).uniform_(math.log(ratio[0]), math.log(ratio[1]), generator=generator).exp()
    place = torch.rand(2, n, generator=generator)

    widths, heights = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
    fits = (widths > 0) & (widths <= w) & (heights > 0) & (heights <= h)
    first = fits.byte().argmax(1, keepdim=True)
    middle = _middle(h, w, ratio)
    height, width = (
        torch.where(fits.any(1), drawn.gather(1, first).squeeze(1), side)
        for drawn, side in zip((heights, widths), middle, strict=True)
    )
    room = torch.stack((h - height, w - width))
    corner = torch.where(fits.any(1), (place * (room + 1)).long(), room // 2)
    return torch.stack((*corner, height, width), 1)


def resized_crop(x: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut out a box of each image and resize it bilinearly; where it shrinks, every pixel counts (antialiasing).

    Args:
        x: Images ``[n, c, h, w]``, uint8 or float.
        boxes: Top, left, height and width in pixels, int64 ``[n, 4]``, on the CPU.
        size: Height and width of what is returned, in pixels.
    """
    if x.device.type == "cpu":
        out = x.new_empty(*x.shape[:2], *size)
        for image, target, box in zip(torch.split(x, 1), out, boxes.tolist(), strict=True):
            cut(image, box, target)
        return out
    return product_crop(x, boxes, size)


def flip_(x: Tensor, generator: torch.Generator, p: float = 0.5) -> Tensor:
    """Mirror each image with chance ``p``, left to right, in place.

    Args:
        x: Images ``[n, c, h, w]``.
        generator: On the CPU.
        p: In [0, 1].
    """
    for rows in pieces(drawn(len(x), generator, p), x.device):
        x[rows] = x[rows].flip(-1)
    return x


def product_crop(x: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """:func:`resized_crop` as two batched matrix products, where there is no kernel for boxes of many sizes."""
    top, left, h, w = sent(boxes, x.device).T
    down, across = _weights(top, h, x.shape[-2], size[0]), _weights(left, w, x.shape[-1], size[1])
    out = down[:, None] @ x.float() @ across[:, None].mT
    return out.round().to(torch.uint8) if x.dtype == torch.uint8 else out


def _weights(start: Tensor, length: Tensor, side: int, size: int) -> Tensor:
    """What each pixel of a side gives to each resized one, ``[n, size, side]``; each row's sum is 1.

    A resized pixel is the mean under a triangle around its centre that reaches one pixel of the coarser grid.
    """
    step = (length / size)[:, None, None]
    centre = start[:, None, None] + (torch.arange(size, device=start.device) + 0.5)[:, None] * step
    pixel = torch.arange(side, device=start.device) + 0.5
    inside = (pixel > start[:, None, None]) & (pixel < (start + length)[:, None, None])
    weight = (1 - (pixel - centre).abs() / step.clamp(min=1)).clamp(min=0) * inside
    return weight / weight.sum(-1, keepdim=True)


def _middle(h: int, w: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """Height and width of the largest box whose shape is allowed."""
    if w < ratio[0] * h:
        return round(w / ratio[0]), w
    if w > ratio[1] * h:
        return h, round(h * ratio[1])
    return h, w
