"""MultiColorMNIST: a digit in a frame of many patches, each of which tells the class as often as it may.

Lin, Tan, Hao, Wong, Dong, Zhang, Yang, Zhang: Spurious Feature Diversification Improves Out-of-distribution
Generalization. ICLR 2024. arXiv 2309.17230. An image has S patches around a digit of class y. Independently:

    colour of patch s = y        with probability 1 - p
                        one of the nine others, all alike, with probability p

where p is 0 in training and large in the tests; at p = 0.9 a colour says nothing. A network that uses few patches falls
with them; one that uses many still has a majority that is right: diverse spurious features help.

Patches are squares of side r in a ring around the image, whose side becomes 28 + 2r; r = 4 gives S = 4 (28/r + 1) = 32.

Deviations: the paper's constants could not be had. The ring, the ten colours (equal steps of hue), and p = 0 in
training and 0.7 to 0.9 in the tests are ours; p in training and r are arguments. What is drawn depends on the domain
alone, so the data is the same for everybody.
"""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError
from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.sets import mnist
from dgbench.data.sets.mnist import SIDE, Digits

CLASSES = tuple(str(digit) for digit in range(10))
PALETTE = np.array([[round(255 * c) for c in colorsys.hsv_to_rgb(k / 10, 1, 1)] for k in range(10)], np.uint8)
"""The colour of each class, ``[10, 3]``."""
TESTS = (70, 75, 80, 85, 90)
"""How often a patch is wrong in the tests, in percent."""


def build(root: Path, patch: int = 4, train_break: int = 0) -> Dataset:
    """``train`` from MNIST's training images, and ``break-P`` for each P of ``TESTS`` from its test images.

    The test domains show the same digits, with other patches; so train on ``train`` only.

    Args:
        root: Where the files of MNIST are.
        patch: Side of a patch, a divisor of 28.
        train_break: How often a patch is wrong in training, in percent, 0 to 90.

    Raises:
        DataError: MNIST is not there, or patches of that side do not fill a ring.
    """
    if patch < 1 or SIDE % patch:
        raise DataError(
            f"MultiColorMNIST: patches of side {patch} do not fill a ring around {SIDE} pixels; use 2, 4, 7 or 14"
        )
    train, test = mnist.read(root)
    domains = [_domain("train", train, train_break / 100, patch)]
    domains += [_domain(f"break-{percent}", test, percent / 100, patch) for percent in TESTS]
    return assemble("multicolor-mnist", CLASSES, domains)


def _domain(name: str, digits: Digits, wrong: float, patch: int) -> Domain:
    cells = _ring(SIDE // patch + 2)
    colours = _colours(digits.labels, wrong, len(cells), generator("multicolor-mnist", name))
    images = np.zeros((len(digits), SIDE + 2 * patch, SIDE + 2 * patch, 3), np.uint8)
    images[:, patch:-patch, patch:-patch] = digits.rgb()
    for (row, column), shown in zip(cells * patch, colours.T, strict=True):
        images[:, row : row + patch, column : column + patch] = PALETTE[shown][:, None, None]
    return Domain(name, images, digits.labels, np.arange(len(digits), dtype=np.int64))


def _colours(labels: NDArray[np.int64], wrong: float, patches: int, random: np.random.Generator) -> NDArray[np.int64]:
    """The class whose colour each patch shows, ``[n, patches]``."""
    shape = (len(labels), patches)
    others = random.integers(1, 10, shape)  # steps from the class to one of the nine others
    return (labels[:, None] + np.where(random.random(shape) < wrong, others, 0)) % 10


def _ring(side: int) -> NDArray[np.int64]:
    """Rows and columns of the outermost cells of a grid, clockwise, ``[4 (side - 1), 2]``."""
    steps = np.arange(side - 1)
    last = np.full(side - 1, side - 1)
    rows = np.concatenate([0 * steps, steps, last, last - steps])
    columns = np.concatenate([steps, last, last - steps, 0 * steps])
    return np.stack([rows, columns], axis=1)
