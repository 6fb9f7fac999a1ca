from pathlib import Path

import numpy as np
import pytest
from idx_files import write_mnist
from numpy.typing import NDArray

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError
from dgbench.data.domain import Domain
from dgbench.data.sets.multicolor_mnist import PALETTE, TESTS, build


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("MNIST")
    write_mnist(root, 300, 1000)
    return root


def patches(domain: Domain, side: int) -> NDArray[np.int64]:
    """The class of the colour of each patch, ``[n, S]``; a patch must be of one colour of the palette."""
    images = np.asarray(domain.inputs)
    cells = images.shape[1] // side
    known = {tuple(colour): number for number, colour in enumerate(PALETTE.tolist())}
    found = []
    for row in range(cells):
        for column in range(cells):
            if 0 < row < cells - 1 and 0 < column < cells - 1:
                continue
            cell = images[:, row * side : (row + 1) * side, column * side : (column + 1) * side]
            assert (cell == cell[:, :1, :1]).all()
            found.append([known[tuple(colour)] for colour in cell[:, 0, 0].tolist()])
    return np.array(found).T


def test_thirty_two_patches_frame_the_digit_and_tell_its_class_in_training(root: Path) -> None:
    images, labels = write_mnist(root, 300, 1000)
    dataset = build(root)
    train = dataset.domains[0]
    assert train.inputs.shape == (300, 36, 36, 3)
    shown = patches(train, 4)
    assert shown.shape == (300, 32)
    assert (shown == train.labels[:, None]).all()
    assert train.labels.tolist() == labels[:300].tolist()
    for domain, rows in [(train, slice(300)), (dataset.domains[1], slice(300, None))]:
        assert (np.asarray(domain.inputs)[:, 4:32, 4:32] == images[rows, ..., None]).all()


def test_patches_are_wrong_as_often_as_they_should_independently_and_evenly(root: Path) -> None:
    for percent, domain in zip(TESTS, build(root).domains[1:], strict=True):
        assert domain.name == f"break-{percent}"
        steps = (patches(domain, 4) - domain.labels[:, None]) % 10
        wrong, p = steps > 0, percent / 100
        assert abs(wrong.mean() - p) < 0.015
        # A sum of 32 independent draws has variance 32 p (1 - p).
        assert np.var(wrong.sum(axis=1)) == pytest.approx(32 * p * (1 - p), rel=0.2)
        others = np.bincount(steps[wrong], minlength=10)[1:]
        assert others / others.sum() == pytest.approx(np.full(9, 1 / 9), abs=0.01)


def test_other_patches_and_a_card_that_agrees(root: Path) -> None:
    large = build(root, patch=7, train_break=50).domains[0]
    assert patches(large, 7).shape == (300, 20)
    assert abs((patches(large, 7) != large.labels[:, None]).mean() - 0.5) < 0.05
    card, dataset = dataset_card("multicolor-mnist"), build(root)
    assert [d.name for d in dataset.domains] == [d.name for d in card.domains]
    assert dataset.manifest == build(root).manifest
    with pytest.raises(DataError, match="side 5"):
        build(root, patch=5)
