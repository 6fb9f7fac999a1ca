"""Geometric: where things are. What comes in from outside is black."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as tv
from numpy.typing import NDArray
from torch import Tensor

from dgbench.data.shifts.entry import Entry, Random, either, tensor, zoom

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
    h, w = image.shape[-2:]
    inset = np.minimum(abs(random.normal(0, random.uniform(0.1, 0.2), (4, 2))), 0.45)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    moved = (corners + inset * (1 - 2 * corners)) * [w - 1, h - 1]
    whole = corners * [w - 1, h - 1]
    return tv.perspective(image, moved.tolist(), whole.tolist())  # type: ignore[no-any-return]


def _elastic(image: Tensor, random: Random) -> Tensor:
    """Every pixel is taken from up to 2 to 5 pixels away; a smoothing with deviation .25 px has no weight beyond 0."""
    h, w = image.shape[-2:]
    pixels = random.uniform(2, 5) * zoom(image)
    moves = tensor(random.uniform(-1, 1, (1, 2, h, w))) * pixels
    return _displace(image, moves * torch.tensor([2 / w, 2 / h]).view(1, 2, 1, 1))


def _jigsaw(image: Tensor, random: Random) -> Tensor:
    """10x10 tiles (of 2 pixels at least) change places with tiles near them, by two places at most on each axis."""
    h, w = image.shape[-2:]
    rows, columns = min(10, h // 2), min(10, w // 2)
    across = np.argsort(np.arange(columns) + random.uniform(0, 3, (rows, columns)), axis=1)
    down = np.argsort(np.arange(rows)[:, None] + random.uniform(0, 3, (rows, columns)), axis=0)
    y, x = np.indices((h, w))
    tile_y, tile_x = y * rows // h, x * columns // w
    from_y = down[tile_y, tile_x]
    from_x = across[from_y, tile_x]
    source_y = np.minimum(y + _start(from_y, rows, h) - _start(tile_y, rows, h), h - 1)
    source_x = np.minimum(x + _start(from_x, columns, w) - _start(tile_x, columns, w), w - 1)
    return image[..., torch.from_numpy(source_y), torch.from_numpy(source_x)]


def _start(tile: NDArray[np.int64], tiles: int, side: int) -> NDArray[np.int64]:
    """The first pixel of a tile: where ``pixel * tiles // side`` first equals ``tile``."""
    return -(-tile * side // tiles)


def _affine(image: Tensor, matrix: list[list[float]]) -> Tensor:
    """Sample at ``matrix`` times the coordinates, which run from -1 to 1 across the image, x first."""
    grid = F.affine_grid(torch.tensor([matrix], dtype=torch.float32), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, align_corners=False)


def _displace(image: Tensor, moves: Tensor) -> Tensor:
    """Sample beside each pixel, by ``moves [1, 2, h, w]`` in the same coordinates; the edge repeats."""
    grid = F.affine_grid(torch.eye(2, 3)[None], list(image.shape), align_corners=False)
    return F.grid_sample(image, grid + moves.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


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
