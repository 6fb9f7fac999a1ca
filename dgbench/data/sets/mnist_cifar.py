"""MNIST-CIFAR: a digit above a vehicle; both tell the class, and networks look at the digit only.

Shah, Tamuly, Raghunathan, Jain, Netrapalli: The Pitfalls of Simplicity Bias in Neural Networks. NeurIPS 2020. arXiv
2006.07710. An image is a digit, padded with black to 32x32, above a picture of CIFAR-10, so 64 pixels high and 32 wide:

    class 0: a zero above an automobile        class 1: a one above a truck

each class with as many pairs as the smaller of its two blocks has. Domains: ``train`` and ``test`` from the training
and test parts of both sets; ``random-mnist`` and ``random-cifar`` are ``test`` with one block permuted over all
examples, so that it says nothing; the class is that of the other block.

Deviations: the blocks are randomised in images of the dataset, not in the metric, so accuracy is reported in place of
the area under the curve. What is drawn depends on the domain alone, so the data is the same for everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError
from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.pixels.cifar import images, records
from dgbench.data.sets import mnist
from dgbench.data.sets.mnist import Digits

CLASSES = ("zero-automobile", "one-truck")
_VEHICLES = (1, 9)
"""The numbers of automobile and truck in CIFAR-10."""

Blocks = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]
"""Digits and vehicles, each ``[n, 32, 32, 3]``, and the class of both, ``[n]``."""


def build(root: Path) -> Dataset:
    """The four domains.

    Args:
        root: The folder with MNIST (itself, or in ``MNIST``) and ``cifar-10-batches-bin`` in it.

    Raises:
        DataError: one of the two is not there, or damaged.
    """
    train_digits, test_digits = mnist.read(root)
    batches = [f"data_batch_{number}.bin" for number in range(1, 6)]
    train = _pairs("train", train_digits, *_cifar(root, batches))
    test = _pairs("test", test_digits, *_cifar(root, ["test_batch.bin"]))
    domains = (
        _domain("train", train),
        _domain("test", test),
        _domain("random-mnist", test, random="digit"),
        _domain("random-cifar", test, random="vehicle"),
    )
    return assemble("mnist-cifar", CLASSES, domains)


def _pairs(name: str, digits: Digits, vehicles: NDArray[np.uint8], kinds: NDArray[np.int64]) -> Blocks:
    random = generator("mnist-cifar", name, "pairs")
    uppers, lowers, labels = [], [], []
    for label, vehicle in enumerate(_VEHICLES):
        above = random.permutation(np.flatnonzero(digits.labels == label))
        below = random.permutation(np.flatnonzero(kinds == vehicle))
        count = min(len(above), len(below))
        uppers.append(above[:count])
        lowers.append(below[:count])
        labels.append(np.full(count, label, np.int64))
    order = random.permutation(sum(map(len, labels)))
    upper, lower, label_of = (np.concatenate(parts)[order] for parts in (uppers, lowers, labels))
    padded = np.pad(digits.take(upper).rgb(), ((0, 0), (2, 2), (2, 2), (0, 0)))
    return padded, vehicles[lower], label_of


def _domain(name: str, blocks: Blocks, random: Literal["digit", "vehicle"] | None = None) -> Domain:
    upper, lower, labels = blocks
    shuffled = generator("mnist-cifar", name, "randomise").permutation(len(labels))
    if random == "digit":
        upper = upper[shuffled]
    elif random == "vehicle":
        lower = lower[shuffled]
    return Domain(name, np.concatenate([upper, lower], axis=1), labels, np.arange(len(labels), dtype=np.int64))


def _cifar(root: Path, names: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures ``[n, 32, 32, 3]`` and labels of CIFAR-10's binary files."""
    parts = []
    for name in names:
        path = root / "cifar-10-batches-bin" / name
        if not path.is_file():
            raise DataError(
                f"{path} is not there; get CIFAR-10's binary version (cifar-10-binary.tar.gz, see docs/datasets.md) "
                f"and extract it to {path.parent}"
            )
        parts.append(records(path))
    together = np.concatenate(parts)
    return images(together), together[:, 0].astype(np.int64)
