"""Superpixels: clusters in place and colour.

R. Achanta et al.: SLIC Superpixels Compared to State-of-the-Art Superpixel Methods, PAMI 2012. Clusters start as the
blocks of a grid, and k-means moves them. A pixel belongs to one of nine: those that started in its block or beside it.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

ROUNDS = 5
COLOUR = 4.0
"""How far apart black and white are, in one channel, where neighbouring blocks are 1 apart."""
_FAR = 1e6
_LARGE = 8
"""Pixels along a block from which on every second one along each side is enough to move the clusters."""


def superpixels(image: Tensor, across: int) -> NDArray[np.intp]:
    """To which cluster each pixel belongs, ``[h, w]``; not every number is that of a cluster.

    Args:
        image: RGB in [0, 1], ``[1, 3, h, w]``.
        across: Clusters along each side, at most.
    """
    h, w = image.shape[-2:]
    tall, wide = -(-h // across), -(-w // across)
    rows, columns = -(-h // tall), -(-w // wide)
    # What a pixel is, block by block: 1, its place, its colour. Beyond the edge all are 0, and weigh nothing.
    down, right = torch.arange(h) / tall, torch.arange(w) / wide
    place = torch.stack((torch.ones(h, w), down[:, None].expand(h, w), right.expand(h, w)))
    points = F.pad(torch.cat((place, COLOUR * image[0])), (0, columns * wide - w, 0, rows * tall - h))
    points = points.view(6, rows, tall, columns, wide).permute(1, 3, 0, 2, 4).reshape(rows * columns, 6, tall, wide)
    # The nine clusters of each block: in a grid whose rim is empty, so that all have as many.
    grid = torch.arange((rows + 2) * (columns + 2)).view(rows + 2, columns + 2)
    nine = grid.unfold(0, 3, 1).unfold(1, 3, 1).reshape(rows * columns, 9)
    every = 2 if min(tall, wide) >= _LARGE else 1
    some = points[:, :, ::every, ::every].flatten(2)
    clusters = torch.zeros(grid.numel(), 6).index_copy_(0, nine[:, 4], some.sum(-1))
    for _ in range(ROUNDS):
        sums = torch.bmm(_nearest(clusters[nine], some).float(), some.transpose(1, 2))
        clusters = torch.zeros(grid.numel(), 6).index_add_(0, nine.flatten(), sums.flatten(0, 1))
    nearest = _nearest(clusters[nine], points.flatten(2)).numpy().view(np.uint8)
    chosen = np.zeros((rows * columns, tall * wide), np.uint8)
    for number in range(1, 9):
        np.maximum(chosen, nearest[:, number] * np.uint8(number), out=chosen)
    owners = np.take(nine.numpy(), chosen + 9 * np.arange(rows * columns)[:, None])
    return owners.reshape(rows, columns, tall, wide).swapaxes(1, 2).reshape(rows * tall, columns * wide)[:h, :w]


def _nearest(clusters: Tensor, points: Tensor) -> Tensor:
    """Which cluster has its centre nearest to each pixel, as bool ``[blocks, 9, pixels]``; two, for one in the middle.

    Args:
        clusters: Sums over the pixels of nine clusters for each block, ``[blocks, 9, 6]``.
        points: The pixels of each block, ``[blocks, 6, pixels]``.
    """
    count = clusters[..., :1]
    centres = clusters[..., 1:] / count.clamp(min=1)
    # |p - c|^2 - |p|^2, as a product with (1, p); no pixel is near a cluster without pixels.
    square = centres.square().sum(-1, keepdim=True).masked_fill_(count == 0, _FAR)
    apart = torch.bmm(torch.cat((square, centres.mul_(-2)), -1), points)
    return apart == apart.amin(1, keepdim=True)
