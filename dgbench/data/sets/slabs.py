"""Slabs: fifty coordinates, each of which tells the class; one of them in a simpler way than all others.

Shah, Tamuly, Raghunathan, Jain, Netrapalli: The Pitfalls of Simplicity Bias in Neural Networks. NeurIPS 2020. arXiv
2006.07710. The class y is fair, and given y the coordinates are independent, each in [-1, 1]:

    linear      (2y - 1) (m + (1 - m) U)                                     U uniform in [0, 1], m = 0.1
    k slabs     uniform in one of k intervals of width (2 - 2 (k - 1) m) / k, 2m apart; from the centre outwards
                they belong to class 0, 1, 0, ...
        k = 5   class 0 is in the centre with probability 3/4, else outside; class 1 between them
        k = 7   class 0 is in the centre with probability 1/2, else in the third pair; class 1 in the inner pair with
                probability 7/8, else outside

``LMS-5`` is one linear coordinate and 49 of five slabs, ``MS-(5,7)`` one of five slabs and 49 of seven. A fixed
orthogonal matrix rotates all. Networks use the simple coordinate alone, though each coordinate would do. Domains:
``train``; ``test``, new examples; ``random-simple`` and ``random-others``, new examples whose simple coordinate, or all
others together, are permuted over the examples, so that they say nothing.

Deviation: dgbench's inputs are images, so a coordinate of the rotated point is the grey level of one pixel, 256 levels
from -3 to 3; the first fifty pixels of 8x8 are used, the others are grey. A level is 0.024 wide, so rounding moves a
point by 0.007 along any direction (standard deviation), a fourteenth of the margin m: the classes stay separable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble

MARGIN = 0.1
COORDINATES = 50
REACH = 3.0
"""What the brightest grey level stands for; no rotated coordinate of the two sets goes beyond 2.5."""
COUNTS = {"train": 100_000, "test": 10_000, "random-simple": 10_000, "random-others": 10_000}

_SIDE = 8
_WEIGHTS = {5: ((1, 1, 6, 1, 1), (0, 1, 0, 1, 0)), 7: ((1, 2, 7, 4, 7, 2, 1), (1, 0, 1, 0, 1, 0, 1))}
"""For each k, from left to right: how likely a slab is within its class, up to a factor, and its class."""

Points = NDArray[np.float64]
"""``[n, 50]``."""


def build_lms_5() -> Dataset:
    """``LMS-5``: a linear coordinate and 49 of five slabs; the same bytes at every call."""
    return _build("slabs-lms-5", simple=1, others=5)


def build_ms_5_7() -> Dataset:
    """``MS-(5,7)``: a coordinate of five slabs and 49 of seven; the same bytes at every call."""
    return _build("slabs-ms-5-7", simple=5, others=7)


def intervals(slabs: int) -> tuple[NDArray[np.float64], float]:
    """The lower ends of the slabs, ``[slabs]`` from left to right, and their width."""
    width = (2 - 2 * (slabs - 1) * MARGIN) / slabs
    return np.arange(slabs, dtype=np.float64) * (width + 2 * MARGIN) - 1, width


def coordinate(labels: NDArray[np.int64], slabs: int, random: np.random.Generator) -> NDArray[np.float64]:
    """One coordinate for each label, float64 ``[n]`` in [-1, 1]; with one slab it is linear."""
    if slabs == 1:
        return (2 * labels - 1) * (MARGIN + (1 - MARGIN) * random.random(len(labels)))
    lower, width = intervals(slabs)
    weights, classes = (np.array(values) for values in _WEIGHTS[slabs])
    chosen = np.empty(len(labels), np.int64)
    for label in (0, 1):
        mine = np.where(classes == label, weights, 0)
        rows = np.flatnonzero(labels == label)
        chosen[rows] = random.choice(slabs, size=len(rows), p=mine / mine.sum())
    return lower[chosen] + width * random.random(len(labels))


def rotation(name: str) -> Points:
    """The orthogonal matrix of a dataset, ``[50, 50]``, drawn uniformly."""
    basis, triangle = np.linalg.qr(generator(name, "rotation").standard_normal((COORDINATES, COORDINATES)))
    return np.asarray(basis * np.sign(np.diag(triangle)))  # which makes the factors unique, and the matrix uniform


def to_images(points: Points) -> NDArray[np.uint8]:
    """Points as grey images, uint8 ``[n, 8, 8, 3]``."""
    pixels = np.full((len(points), _SIDE * _SIDE), 128, np.uint8)
    pixels[:, :COORDINATES] = np.clip(np.rint(127.5 * (1 + points / REACH)), 0, 255)
    return np.repeat(pixels.reshape(-1, _SIDE, _SIDE, 1), 3, axis=3)


def to_points(images: NDArray[np.uint8]) -> Points:
    """The points that images show, up to rounding."""
    levels = images[..., 0].reshape(len(images), -1)[:, :COORDINATES]
    return REACH * (levels / 127.5 - 1)


def _build(name: str, simple: int, others: int) -> Dataset:
    matrix = rotation(name)
    domains = []
    for domain, count in COUNTS.items():
        random = generator(name, domain)
        labels = random.integers(0, 2, count)
        points = np.stack(
            [coordinate(labels, simple if i == 0 else others, random) for i in range(COORDINATES)], axis=1
        )
        shuffled = random.permutation(count)
        if domain == "random-simple":
            points[:, 0] = points[shuffled, 0]
        elif domain == "random-others":
            points[:, 1:] = points[shuffled, 1:]
        groups = np.arange(count, dtype=np.int64)
        domains.append(Domain(domain, to_images(points @ matrix.T), labels, groups))
    return assemble(name, ("negative", "positive"), domains)
