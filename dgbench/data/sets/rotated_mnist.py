"""RotatedMNIST: digits dealt to six angles.

Ghifary, Kleijn, Zhang, Balduzzi: Domain Generalization for Object Recognition with Multi-task Autoencoders. ICCV 2015.
arXiv 1508.07680; in the form of Gulrajani, Lopez-Paz: In Search of Lost Domain Generalization. ICLR 2021. arXiv
2007.01434: all 70,000 images are shuffled and dealt to the angles 0, 15, ..., 75 degrees in turn, and turned about
their centre against the clock with bilinear interpolation; what comes in at the corners is black.

Deviations: three equal channels. The shuffle depends on the name of the dataset alone, so the data is the same for
everybody; in DomainBed it depends on the run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.sets import mnist
from dgbench.data.sets.mnist import Digits

ANGLES = (0, 15, 30, 45, 60, 75)


def build(root: Path) -> Dataset:
    """The six domains, named by their angles.

    Args:
        root: Where the files of MNIST are.

    Raises:
        DataError: MNIST is not there.
    """
    digits = mnist.read_all(root)
    order = generator("rotated-mnist", "deal").permutation(len(digits))
    domains = []
    for number, angle in enumerate(ANGLES):
        dealt = digits.take(order[number :: len(ANGLES)])
        turned = Digits(_turn(dealt.images, angle), dealt.labels)
        domains.append(Domain(str(angle), turned.rgb(), turned.labels, np.arange(len(turned), dtype=np.int64)))
    return assemble("rotated-mnist", [str(digit) for digit in range(10)], domains)


def _turn(images: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    """Grey images turned against the clock, same shape."""
    turned = [np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR)) for image in images]
    return np.array(turned, np.uint8).reshape(images.shape)
