"""Histograms of parts of an image made flat, with a limit to the contrast.

K. Zuiderveld: Contrast Limited Adaptive Histogram Equalization, Graphics Gems IV, 1994. What a histogram has above its
limit is spread over all its levels; between the middles of parts, their curves are mixed by distance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgbench.data.shifts.filters import levels


def equalize(planes: Tensor, across: int, limits: Sequence[float]) -> Tensor:
    """Equalise each plane of ``[1, c, h, w]`` in ``across x across`` parts.

    Args:
        planes: In [0, 1]; their 8-bit levels count.
        across: Parts along each side; the last ones go on beyond the edge, where the image is mirrored.
        limits: Of each plane, how many times its mean a histogram may be at most.
    """
    h, w = planes.shape[-2:]
    tall, wide = -(-h // across), -(-w // across)
    padded = np.pad(levels(planes), ((0, 0), (0, tall * across - h), (0, wide * across - w)), mode="reflect")
    of_plane = (np.arange(len(padded)) * across**2 * 256)[:, None, None]
    of_part = ((np.arange(tall * across) // tall * across)[:, None] + np.arange(wide * across) // wide) * 256
    counts = np.bincount((padded + (of_part + of_plane)).ravel(), minlength=len(padded) * across**2 * 256)
    curves = _curves(counts.reshape(len(padded), across**2, 256), np.array(limits)[:, None, None]).ravel()
    below, right_of = _between(h, tall, across), _between(w, wide, across)
    values = padded[:, :h, :w] + of_plane

    def mapped(row: NDArray[np.intp], column: NDArray[np.intp]) -> Tensor:
        return torch.from_numpy(np.take(curves, values + (row[:, None] * across + column) * 256))

    down, right = torch.from_numpy(below[2])[:, None], torch.from_numpy(right_of[2])
    upper, lower = (torch.lerp(mapped(row, right_of[0]), mapped(row, right_of[1]), right) for row in below[:2])
    return torch.lerp(upper, lower, down)[None]


def _curves(counts: NDArray[np.intp], limits: NDArray[np.float64]) -> NDArray[np.float32]:
    """From each level to its share of the pixels, by histograms ``[..., 256]``; whole levels, in [0, 1]."""
    pixels = counts[0, 0].sum()
    clipped = np.minimum(counts, np.maximum(limits * pixels // 256, 1)).astype(np.int32)
    each, rest = np.divmod(pixels - clipped.sum(-1, keepdims=True), 256)
    every = np.maximum(256 // np.maximum(rest, 1), 1)  # what is left goes to levels as far apart as can be
    place, between = np.divmod(np.arange(256, dtype=np.int32), every.astype(np.int32))
    clipped += each.astype(np.int32)
    clipped += (between == 0) & (place < rest)
    curves: NDArray[np.float32] = np.rint(clipped.cumsum(-1, dtype=np.float32) * np.float32(255 / pixels))
    return curves / np.float32(255)


def _between(side: int, size: int, parts: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each pixel of a side, the two parts between whose middles it lies, and how near it is to the second."""
    place = (np.arange(side) - (size - 1) / 2) / size
    first = np.floor(place).astype(np.intp)
    return first.clip(0, parts - 1), (first + 1).clip(0, parts - 1), (place - first).astype(np.float32)
