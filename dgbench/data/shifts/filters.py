"""Filters of one image ``[1, c, h, w]`` in [0, 1], on one CPU core. Beyond the edge the outermost pixels repeat.

A filter here is a sum over shifted copies of the image, one for each weight that is not zero: a few passes over memory,
whose order does not depend on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Tap = tuple[int, int, float]
"""How far down and right of a pixel, and what weighs there."""

_COARSE = 5
"""Of the 8 bits of a median, those that are found threshold by threshold."""


def correlate(image: Tensor, taps: Iterable[Tap]) -> Tensor:
    """Weighted sum of what lies beside each pixel; those of weight zero cost nothing."""
    taps = [tap for tap in taps if tap[2] != 0]
    reach = max((max(abs(down), abs(right)) for down, right, _ in taps), default=0)
    h, w = image.shape[-2:]
    padded = F.pad(image, (reach,) * 4, mode="replicate")
    total = torch.zeros_like(image)
    for down, right, weight in taps:
        total.add_(padded[..., reach + down : reach + down + h, reach + right : reach + right + w], alpha=weight)
    return total


def gaussian(image: Tensor, size: int, sd: float) -> Tensor:
    """Smoothed by a Gaussian of so many pixels, an odd number."""
    weights = np.exp(-0.5 * (np.arange(size // 2 + 1) / sd) ** 2)
    return _symmetric(image, (weights / (2 * weights.sum() - weights[0])).tolist())


def box(image: Tensor, size: int) -> Tensor:
    """Mean of ``size x size`` pixels, an odd number."""
    return _symmetric(image, [1 / size] * (size // 2 + 1))


def _symmetric(image: Tensor, weights: Sequence[float]) -> Tensor:
    """Down and then across, with ``weights`` by the distance from the pixel."""
    reach = len(weights) - 1
    for axis, margin in ((-2, (0, 0, reach, reach)), (-1, (reach, reach, 0, 0))):
        padded = F.pad(image, margin, mode="replicate")
        side = image.shape[axis]
        image = padded.narrow(axis, reach, side) * weights[0]
        pair = torch.empty_like(image)
        for distance, weight in enumerate(weights[1:], 1):
            before, after = (padded.narrow(axis, reach + sign * distance, side) for sign in (-1, 1))
            image.add_(torch.add(before, after, out=pair), alpha=weight)
    return image


def line(size: int, angle: float, direction: float) -> list[Tap]:
    """Taps along a line of ``size`` pixels, an odd number, through the pixel itself; they weigh 1 together.

    Args:
        size: In pixels.
        angle: In degrees, counterclockwise from the right.
        direction: The weights rise from zero (-1) or fall to it (1) along the line, or stay the same (0).
    """
    along = np.arange(size) - size // 2
    turn = np.radians(angle)
    down, right = np.rint(-np.sin(turn) * along), np.rint(np.cos(turn) * along)
    weights = 1 - direction * along / (size // 2)
    return list(zip(down.astype(int).tolist(), right.astype(int).tolist(), (weights / size).tolist(), strict=True))


def grayscale(image: Tensor) -> Tensor:
    """Luma of RGB, ``[1, 1, h, w]``, as in ITU-R BT.601."""
    return (0.299 * image[:, :1]).add_(image[:, 1:2], alpha=0.587).add_(image[:, 2:], alpha=0.114)


def levels(image: Tensor) -> NDArray[np.uint8]:
    """The 8-bit levels of an image, ``[c, h, w]``."""
    return (image[0] * 255).round_().numpy().astype(np.uint8)


def median(image: Tensor, size: int) -> Tensor:
    """Exact median of ``size x size`` 8-bit levels, an odd number of pixels.

    A median is at least ``t`` where more than half of its window is. For multiples of 8, the windows are counted by
    running sums; that leaves 3 bits, and each is found by looking at the whole window once more.
    """
    count = np.uint8 if size * size < 256 else np.uint16
    half = (size * size + 1) // 2
    h, w = image.shape[-2:]
    margin = size // 2
    padded = np.pad(levels(image), ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    pitch = padded.shape[-1]
    flat = padded.ravel()  # so that every shifted copy is one piece of memory
    windows = flat.size - (size - 1) * (pitch + 1)
    found = np.zeros(windows, np.uint8)
    step = 256 >> _COARSE
    for threshold in range(step, 256, step):
        above = _running(_running((flat >= threshold).view(np.uint8).astype(count), size, 1), size, pitch)
        found += (above >= half).view(np.uint8)
    found *= np.uint8(step)
    above, is_above = np.empty(windows, count), np.empty(windows, np.bool_)
    for bit in range(7 - _COARSE, -1, -1):
        threshold_here = found + np.uint8(1 << bit)
        above.fill(0)
        for start in (down * pitch + right for down in range(size) for right in range(size)):
            np.greater_equal(flat[start : start + windows], threshold_here, out=is_above)
            np.add(above, is_above.view(np.uint8), out=above)
        found += (above >= half).view(np.uint8) << np.uint8(bit)
    whole = np.zeros(flat.size, np.uint8)
    whole[:windows] = found
    medians = np.ascontiguousarray(whole.reshape(padded.shape)[:, :h, :w])
    return torch.from_numpy(medians)[None].float() / 255


def _running(values: NDArray[Any], size: int, step: int) -> NDArray[Any]:
    """Sums of ``size`` values that lie ``step`` apart, from each on: those of 1, 2, 4, ... values are put together."""
    ends = len(values) - (size - 1) * step
    total = np.zeros(ends, values.dtype)
    done, width = 0, 1
    while done < size:
        if size & width:
            total += values[done * step : done * step + ends]
            done += width
        values = values[: len(values) - width * step] + values[width * step :]
        width *= 2
    return total


def bilateral(image: Tensor, size: int, sd_color: float, sd_space: float) -> Tensor:
    """Mean of a disc of ``size`` pixels, an odd number, weighted by distance and by difference in colour.

    C. Tomasi, R. Manduchi: Bilateral Filtering for Gray and Color Images, ICCV 1998. The difference is the sum over the
    channels, in 8-bit levels. Two pixels weigh as much for each other, so each pair is looked at once.
    """
    reach = size // 2
    h, w = image.shape[-2:]
    padded = F.pad(image, (reach,) * 4, mode="replicate")
    pitch = padded.shape[-1]
    colours, pixels = levels(padded).reshape(len(padded[0]), -1).astype(np.int16), padded[0].flatten(1)
    difference = np.arange(255 * len(pixels) + 1, dtype=np.float32)
    by_colour = np.exp(-0.5 * (difference / np.float32(255 * sd_color)) ** 2)
    total, weights = pixels.clone(), torch.ones(pixels.shape[1])
    for down, right in np.ndindex(reach + 1, size):
        right -= reach
        distance = down * down + right * right
        if distance > reach * reach or (down == 0 and right <= 0):
            continue
        apart = down * pitch + right
        differences = np.abs(colours[:, apart:] - colours[:, :-apart]).sum(0, dtype=np.int16)
        by_place = np.float32(np.exp(-0.5 * distance / sd_space**2))
        weight = torch.from_numpy(np.take(by_colour * by_place, differences))
        total[:, :-apart].addcmul_(pixels[:, apart:], weight)
        total[:, apart:].addcmul_(pixels[:, :-apart], weight)
        weights[:-apart] += weight
        weights[apart:] += weight
    return (total / weights).view(padded.shape)[..., reach : reach + h, reach : reach + w]
