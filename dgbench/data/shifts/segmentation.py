"""Segmentation: regions of one colour, the mean of what they cover."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, parts
from dgbench.data.shifts.superpixels import superpixels

Owners = NDArray[np.intp]
"""Which region each pixel belongs to, ``[h, w]``."""


def _superpixels(image: Tensor, random: Random) -> Tensor:
    """16 to 128 superpixels, of which a share of .5 to 1 is painted in its mean colour."""
    owners = superpixels(image, round(random.uniform(16, 129) ** 0.5))
    return _paint(image, owners, random, random.uniform(0.5, 1.0))


def _grid_voronoi(image: Tensor, random: Random) -> Tensor:
    """Cells around 20x40 points that lie on a grid, which are its rectangles; all are painted."""
    h, w = image.shape[-2:]
    rows, columns = parts(image, 20), parts(image, 40)
    down, right = ((2 * np.arange(side) + 1) * cells // (2 * side) for side, cells in ((h, rows), (w, columns)))
    owners = down[:, None] * columns + right
    return _paint(image, owners, random, 1.0)


def _uniform_voronoi(image: Tensor, random: Random) -> Tensor:
    """Cells around 100 to 500 random points; a share of .5 to 1 is painted."""
    points = random.random((parts(image, random.uniform(100, 500) ** 0.5) ** 2, 2))
    return _paint(image, _nearest(image, points), random, random.uniform(0.5, 1.0))


def _thinned_grid_voronoi(image: Tensor, random: Random) -> Tensor:
    """Cells around 10x20 points that lie on a grid, of which four in ten are missing; .5 to 1 are painted."""
    rows, columns = parts(image, 10), parts(image, 20)
    chosen = random.permutation(rows * columns)[: round(0.6 * rows * columns)]
    points = (np.stack(np.divmod(chosen, columns), 1) + 0.5) / (rows, columns)
    return _paint(image, _nearest(image, points), random, random.uniform(0.5, 1.0))


def _nearest(image: Tensor, points: NDArray[np.float64]) -> Owners:
    """Of the pixels in which points lie, the one nearest to each pixel.

    C. Maurer, R. Qi, V. Raghavan: A Linear Time Algorithm for Computing Exact Euclidean Distance Transforms of Binary
    Images in Arbitrary Dimensions, PAMI 2003.

    Args:
        image: Says how many pixels there are.
        points: Down and right in [0, 1), ``[n, 2]``; distances are in these units.
    """
    h, w = image.shape[-2:]
    free = np.ones((h, w), np.bool_)
    down, right = (points * (h, w)).astype(np.intp).T
    free[down, right] = False
    down, right = distance_transform_edt(free, (1 / h, 1 / w), return_distances=False, return_indices=True)
    owners: Owners = down.astype(np.intp) * w + right
    return owners


def _paint(image: Tensor, owners: Owners, random: Random, share: float) -> Tensor:
    """A share of the regions in their mean colours."""
    pixels, owner = image[0].flatten(1).numpy(), owners.ravel()
    count = np.bincount(owner)
    means = np.stack([np.bincount(owner, channel) for channel in pixels]) / np.maximum(count, 1)
    means = np.take(means.astype(np.float32), owner, axis=1)
    painted = random.random(len(count)) < share
    return torch.from_numpy(np.where(painted[owner], means, pixels)).view(image.shape)


ENTRIES = (
    Entry("superpixels", _superpixels),
    Entry("grid voronoi", _grid_voronoi),
    Entry("uniform voronoi", _uniform_voronoi),
    Entry("thinned grid voronoi", _thinned_grid_voronoi),
)
