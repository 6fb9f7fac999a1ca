"""ColoredMNIST in three protocols: whether a digit is below five, told by its shape and, for a while, its colour.

Arjovsky, Bottou, Gulrajani, Lopez-Paz: Invariant Risk Minimization. arXiv 1907.02893, 2019. For each digit:

    y = 1[digit < 5] xor Bernoulli(a)        z = y xor Bernoulli(e)        red where z = 1, green where z = 0

with a = 0.25 and one e for each domain: 0.1 and 0.2 in training, 0.9 in the test. Then shape alone is right in 1 - a of
the images, colour alone in 1 - e.

* ``irm``: the first 50,000 training images, shuffled and dealt to the two training domains; the last 10,000 are the
  test. Every other pixel, 14x14.
* ``domainbed``: Gulrajani, Lopez-Paz: In Search of Lost Domain Generalization. ICLR 2021. arXiv 2007.01434. All 70,000
  images, shuffled and dealt to the three domains in turn, 28x28.
* ``inverse``: Zhang, Lopez-Paz, Bottou: Rich Feature Construction for the Optimization-Generalization Dilemma. ICML
  2022. arXiv 2203.15516. As ``irm``, with a = 0.1 and e = 0.2, 0.25: shape says more than colour.

Deviations: a third, empty channel, so that any network takes the images. What is drawn depends on the protocol and the
domain alone, so the data is the same for everybody; the published code draws anew in every run. IRM's code has red and
green the other way round, which changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError, did_you_mean
from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.sets import mnist
from dgbench.data.sets.mnist import Digits

CLASSES = ("five-or-more", "below-five")
_TRAINING = 5 / 6
"""Share of MNIST's training images that trains, 50,000 of 60,000; the others are the test."""


@dataclass(frozen=True)
class Protocol:
    """How digits become domains.

    Attributes:
        dataset: Name of the card.
        label_noise: Share of wrong labels, a.
        colour_noise: For each domain, how often the colour disagrees with the label, e; the last one is the test.
        pooled: Whether all images are dealt to all domains; otherwise the test has images of its own.
        stride: Every how many pixels are kept.
    """

    dataset: str
    label_noise: float
    colour_noise: tuple[float, ...]
    pooled: bool
    stride: int


PROTOCOLS = {
    "irm": Protocol("colored-mnist", 0.25, (0.1, 0.2, 0.9), pooled=False, stride=2),
    "domainbed": Protocol("colored-mnist-domainbed", 0.25, (0.1, 0.2, 0.9), pooled=True, stride=1),
    "inverse": Protocol("inverse-cmnist", 0.1, (0.2, 0.25, 0.9), pooled=False, stride=2),
}


def build(root: Path, protocol: str = "irm") -> Dataset:
    """The domains ``agree-P``, where colour and label agree in P % of the images.

    Args:
        root: Where the files of MNIST are.
        protocol: ``irm``, ``domainbed`` or ``inverse``.

    Raises:
        DataError: there is no such protocol, or MNIST is not there.
    """
    if protocol not in PROTOCOLS:
        raise DataError(f"ColoredMNIST has no protocol '{protocol}'.{did_you_mean(protocol, PROTOCOLS)}")
    rules = PROTOCOLS[protocol]
    domains = []
    for digits, noise in zip(_deal(root, rules), rules.colour_noise, strict=True):
        domains.append(_domain(digits, noise, rules))
    return assemble(rules.dataset, CLASSES, domains)


def _deal(root: Path, rules: Protocol) -> list[Digits]:
    """The digits of each domain."""
    random = generator(rules.dataset, "deal")
    if rules.pooled:
        return _in_turn(mnist.read_all(root), len(rules.colour_noise), random)
    train, _ = mnist.read(root)
    first = round(_TRAINING * len(train))
    return [*_in_turn(train.take(slice(first)), len(rules.colour_noise) - 1, random), train.take(slice(first, None))]


def _in_turn(digits: Digits, parts: int, random: np.random.Generator) -> list[Digits]:
    order = random.permutation(len(digits))
    return [digits.take(order[part::parts]) for part in range(parts)]


def _domain(digits: Digits, colour_noise: float, rules: Protocol) -> Domain:
    name = f"agree-{round(100 * (1 - colour_noise))}"
    random = generator(rules.dataset, name)
    labels = (digits.labels < 5) ^ (random.random(len(digits)) < rules.label_noise)
    red = labels ^ (random.random(len(digits)) < colour_noise)
    inputs = _paint(digits.images[:, :: rules.stride, :: rules.stride], red)
    return Domain(name, inputs, labels.astype(np.int64), np.arange(len(digits), dtype=np.int64))


def _paint(ink: NDArray[np.uint8], red: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Grey images ``[n, h, w]`` in the red or in the green channel of ``[n, h, w, 3]``."""
    images = np.zeros((*ink.shape, 3), np.uint8)
    images[np.arange(len(ink)), :, :, np.where(red, 0, 1)] = ink
    return images
