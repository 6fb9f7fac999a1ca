"""Segmentation: regions of one colour, the mean of what they cover."""

from __future__ import annotations

import torch
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, parts, tensor


def _superpixels(image: Tensor, random: Random) -> Tensor:
    """16 to 128 superpixels, of which a share of .5 to 1 is painted in its mean colour.

    A superpixel is a cluster in place and colour, found by k-means from a regular grid, as in R. Achanta et al.: SLIC
    Superpixels Compared to State-of-the-Art Superpixel Methods, PAMI 2012; here every centre sees all pixels.
    """
    side = round(random.uniform(16, 129) ** 0.5)
    places = _places(image)
    points = torch.cat((places * side, 4 * image[0].flatten(1).T), 1)
    centres = points[torch.cdist(_grid(side, side), places).argmin(1)]
    for _ in range(5):
        owner = torch.cdist(points, centres).argmin(1)
        centres = _means(points, owner, len(centres))
    return _paint(image, owner, len(centres), random, random.uniform(0.5, 1.0))


def _grid_voronoi(image: Tensor, random: Random) -> Tensor:
    """Cells around 20x40 points that lie on a grid; all are painted."""
    points = _grid(parts(image, 20), parts(image, 40))
    return _paint(image, _nearest(image, points), len(points), random, 1.0)


def _uniform_voronoi(image: Tensor, random: Random) -> Tensor:
    """Cells around 100 to 500 random points; a share of .5 to 1 is painted."""
    points = tensor(random.random((parts(image, random.uniform(100, 500) ** 0.5) ** 2, 2)))
    return _paint(image, _nearest(image, points), len(points), random, random.uniform(0.5, 1.0))


def _thinned_grid_voronoi(image: Tensor, random: Random) -> Tensor:
    """Cells around 10x20 points that lie on a grid, of which four in ten are missing; .5 to 1 are painted."""
    grid = _grid(parts(image, 10), parts(image, 20))
    points = grid[torch.from_numpy(random.permutation(len(grid))[: round(0.6 * len(grid))])]
    return _paint(image, _nearest(image, points), len(points), random, random.uniform(0.5, 1.0))


def _grid(rows: int, columns: int) -> Tensor:
    """Points ``[rows * columns, 2]`` in the middle of their cells, as (down, right) in [0, 1]."""
    down, right = (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns
    return torch.cartesian_prod(down, right)


def _places(image: Tensor) -> Tensor:
    """Where the pixels are, row by row, ``[h * w, 2]``."""
    return _grid(image.shape[-2], image.shape[-1])


def _nearest(image: Tensor, points: Tensor) -> Tensor:
    """For each pixel the number of the point nearest to it, ``[h * w]``."""
    return torch.cdist(_places(image), points).argmin(1)


def _paint(image: Tensor, owner: Tensor, regions: int, random: Random, share: float) -> Tensor:
    """A share of the regions in their mean colours; ``owner [h * w]`` says which region a pixel belongs to."""
    pixels = image[0].flatten(1).T
    painted = tensor(random.random(regions))[owner, None] < share
    return torch.where(painted, _means(pixels, owner, regions)[owner], pixels).T.reshape(image.shape)


def _means(points: Tensor, owner: Tensor, regions: int) -> Tensor:
    """Mean point of each region, ``[regions, d]``; zero for one that owns nothing."""
    sums = torch.zeros(regions, points.shape[1]).index_add_(0, owner, points)
    return sums / torch.bincount(owner, minlength=regions).clamp(min=1)[:, None]


ENTRIES = (
    Entry("superpixels", _superpixels),
    Entry("grid voronoi", _grid_voronoi),
    Entry("uniform voronoi", _uniform_voronoi),
    Entry("thinned grid voronoi", _thinned_grid_voronoi),
)
