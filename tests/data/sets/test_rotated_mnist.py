from pathlib import Path

import numpy as np
import pytest
from idx_files import write_idx, write_mnist
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from dgbench.core.dataset_card import dataset_card
from dgbench.data.sets import mnist
from dgbench.data.sets.rotated_mnist import ANGLES, build


def turned(image: NDArray[np.uint8], degrees: float) -> NDArray[np.float64]:
    """Against the clock, as one sees it, about the centre of the image; bilinear, black outside."""
    angle = np.deg2rad(degrees)
    row, column = np.mgrid[:28, :28] - 13.5
    back = np.stack([np.cos(angle) * row + np.sin(angle) * column, np.cos(angle) * column - np.sin(angle) * row])
    return np.asarray(map_coordinates(image.astype(float), back + 13.5, order=1, cval=0))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of one soft spot, in another place in each."""
    root = tmp_path_factory.mktemp("MNIST")
    write_mnist(root, 60, 15)
    row, column = np.mgrid[:28, :28]
    at = np.random.default_rng(1).uniform(8, 19, (75, 2))
    spots = 250 * np.exp(-((row - at[:, :1, None]) ** 2 + (column - at[:, 1:, None]) ** 2) / 12)
    write_idx(root / "train-images-idx3-ubyte", spots[:60].astype(np.uint8))
    write_idx(root / "t10k-images-idx3-ubyte", spots[60:].astype(np.uint8))
    return root


def test_each_digit_is_turned_by_one_angle_with_its_label(root: Path) -> None:
    source, dataset = mnist.read_all(root), build(root)
    seen = []
    for angle, domain in zip(ANGLES, dataset.domains, strict=True):
        references = np.stack([turned(image, angle) for image in source.images])
        assert domain.inputs.shape[1:] == (28, 28, 3)
        for row in range(len(domain)):
            image = domain.inputs[np.array([row])][0]
            assert (image == image[..., :1]).all()
            distance = np.abs(references - image[..., 0]).mean(axis=(1, 2))
            nearest = int(distance.argmin())
            assert distance[nearest] < 1
            assert domain.labels[row] == source.labels[nearest]
            seen.append(nearest)
    assert sorted(seen) == list(range(75))


def test_names_counts_and_the_same_bytes_again(root: Path) -> None:
    dataset, card = build(root), dataset_card("rotated-mnist")
    assert [d.name for d in dataset.domains] == [d.name for d in card.domains]
    assert [d.count for d in card.domains] == [len(range(i, 70_000, 6)) for i in range(6)]
    assert [len(d) for d in dataset.domains] == [len(range(i, 75, 6)) for i in range(6)]
    assert dataset.manifest == build(root).manifest
