"""Geometric: where things are. What comes in from outside is black."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, either, tensor, uniform, zoom

_SMALLER, _LARGER = (0.5, 0.75), (1.25, 1.75)


def _scale(image: Tensor, random: Random) -> Tensor:
    x, y = either(random, _SMALLER, _LARGER), either(random, _SMALLER, _LARGER)
    return _affine(image, [[1 / x, 0, 0], [0, 1 / y, 0]])


def _translate(image: Tensor, random: Random) -> Tensor:
    x, y = random.uniform(-0.4, 0.4, 2)
    return _affine(image, [[1, 0, -2 * x], [0, 1, -2 * y]])


def _rotate(image: Tensor, random: Random) -> Tensor:
    h, w = image.shape[-2:]
    angle = np.radians(either(random, (-45.0, -15.0), (15.0, 45.0)))
    cos, sin = np.cos(angle), np.sin(angle)
    return _affine(image, [[cos, sin * h / w, 0], [-sin * w / h, cos, 0]])


def _shear(image: Tensor, random: Random) -> Tensor:
    h, w = image.shape[-2:]
    return _affine(image, [[1, np.tan(np.radians(either(random, (-25.0, -15.0), (15.0, 25.0)))) * h / w, 0], [0, 1, 0]])


def _piecewise_affine(image: Tensor, random: Random) -> Tensor:
    """A 4x4 grid of points moves by a normal share .05 to .1 of the side; what lies between follows bilinearly."""
    moves = tensor(random.normal(0, random.uniform(0.05, 0.1), (1, 2, 4, 4)))
    return _displace(image, 2 * F.interpolate(moves, image.shape[-2:], mode="bilinear", align_corners=True))


def _perspective(image: Tensor, random: Random) -> Tensor:
    """A quadrilateral, its corners inside the image's by a normal share with deviation .1 to .2, fills the image."""
    inset = np.minimum(abs(random.normal(0, random.uniform(0.1, 0.2), (4, 2))), 0.45)
    whole = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    return _sample(image, homography(whole, whole * (1 - 2 * inset)))


def homography(corners: NDArray[np.float64], moved: NDArray[np.float64]) -> NDArray[np.float64]:
    """The projective map ``[3, 3]`` that takes four points ``[4, 2]`` to four others."""
    equations, values = [], []
    for (x, y), (to_x, to_y) in zip(corners, moved, strict=True):
        equations += [[x, y, 1, 0, 0, 0, -x * to_x, -y * to_x], [0, 0, 0, x, y, 1, -x * to_y, -y * to_y]]
        values += [to_x, to_y]
    return np.append(np.linalg.solve(np.array(equations), np.array(values)), 1.0).reshape(3, 3)


def _elastic(image: Tensor, random: Random) -> Tensor:
    """Every pixel is taken from up to 2 to 5 pixels away; a smoothing with deviation .25 px has no weight beyond 0."""
    h, w = image.shape[-2:]
    pixels = random.uniform(2, 5) * zoom(image)
    moves = uniform(random, -pixels, pixels, (1, 2, h, w))
    return _displace(image, moves * torch.tensor([2 / w, 2 / h]).view(1, 2, 1, 1))


def _jigsaw(image: Tensor, random: Random) -> Tensor:
    """10x10 tiles (of 2 pixels at least) change places with tiles near them, by two places at most on each axis."""
    h, w = image.shape[-2:]
    rows, columns = min(10, h // 2), min(10, w // 2)
    across = np.argsort(np.arange(columns) + random.uniform(0, 3, (rows, columns)), axis=1)
    down = np.argsort(np.arange(rows)[:, None] + random.uniform(0, 3, (rows, columns)), axis=0)
    # Where each tile comes from; then, for each pixel, how far from it in its row and column.
    from_y = down
    from_x = across[from_y, np.arange(columns)]
    moved_y = _start(from_y, rows, h) - _start(np.arange(rows), rows, h)[:, None]
    moved_x = _start(from_x, columns, w) - _start(np.arange(columns), columns, w)
    tile_y, tile_x = np.arange(h) * rows // h, np.arange(w) * columns // w
    source_y = np.minimum(moved_y[tile_y][:, tile_x] + np.arange(h)[:, None], h - 1)
    source_x = np.minimum(moved_x[tile_y][:, tile_x] + np.arange(w), w - 1)
    pixels = np.take(image[0].flatten(1).numpy(), (source_y * w + source_x).ravel(), axis=1)
    return torch.from_numpy(pixels).view(image.shape)


def _start(tile: NDArray[np.int64], tiles: int, side: int) -> NDArray[np.int64]:
    """The first pixel of a tile: where ``pixel * tiles // side`` first equals ``tile``."""
    return -(-tile * side // tiles)


def _affine(image: Tensor, matrix: list[list[float]]) -> Tensor:
    """Sample at ``matrix [2, 3]`` times the coordinates, which run from -1 to 1 across the image, x first."""
    return _sample(image, np.array([*matrix, [0, 0, 1]], float))


def _sample(image: Tensor, matrix: NDArray[np.float64]) -> Tensor:
    """Sample at a projective map ``[3, 3]`` of the same coordinates."""
    x, y = _coordinates(image)
    places = [a * x + (b * y + c) for a, b, c in matrix.tolist()[: 2 if matrix[2].tolist() == [0, 0, 1] else 3]]
    if len(places) == 3:
        places = [place / places[2] for place in places[:2]]
    return F.grid_sample(image, torch.stack(places, -1)[None], align_corners=False)


def _displace(image: Tensor, moves: Tensor) -> Tensor:
    """Sample beside each pixel, by ``moves [1, 2, h, w]`` in the same coordinates; the edge repeats."""
    x, y = _coordinates(image)
    grid = torch.stack((moves[:, 0] + x, moves[:, 1] + y), -1)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


def _coordinates(image: Tensor) -> tuple[Tensor, Tensor]:
    """Of the middles of pixels, right ``[w]`` and down ``[h, 1]``."""
    y, x = ((2 * torch.arange(side) + 1) / side - 1 for side in image.shape[-2:])
    return x, y[:, None]


ENTRIES = (
    Entry("scale", _scale),
    Entry("translate", _translate),
    Entry("rotate", _rotate),
    Entry("shear", _shear),
    Entry("piecewise affine", _piecewise_affine),
    Entry("perspective", _perspective),
    Entry("elastic", _elastic),
    Entry("jigsaw", _jigsaw),
)
