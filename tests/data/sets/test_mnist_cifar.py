from pathlib import Path

import numpy as np
import pytest
from idx_files import write_idx
from numpy.typing import NDArray

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError
from dgbench.data.domain import Dataset, Domain
from dgbench.data.sets.mnist_cifar import build


def write(root: Path) -> None:
    """Digits whose pixels are 100 + their class, and vehicles whose three planes tell class, number and place."""
    for part, count in (("train", 400), ("t10k", 200)):
        labels = np.random.default_rng(count).integers(0, 10, count).astype(np.uint8)
        write_idx(
            root / f"MNIST/raw/{part}-images-idx3-ubyte",
            np.full((count, 28, 28), 100, np.uint8) + labels[:, None, None],
        )
        write_idx(root / f"MNIST/raw/{part}-labels-idx1-ubyte", labels)
    (root / "cifar-10-batches-bin").mkdir()
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        labels = np.random.default_rng(len(name)).integers(0, 10, 100).astype(np.uint8)
        records = np.empty((100, 3073), np.uint8)
        records[:, 0] = labels
        records[:, 1:1025] = labels[:, None]
        records[:, 1025:2049] = np.arange(100)[:, None]
        records[:, 2049:] = np.arange(1024) // 32
        (root / "cifar-10-batches-bin" / name).write_bytes(records.tobytes())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write(root)
    return root


@pytest.fixture(scope="module")
def dataset(root: Path) -> Dataset:
    return build(root)


def blocks(domain: Domain) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What the digit and the vehicle of each image say about its class."""
    images = np.asarray(domain.inputs).astype(np.int64)
    assert images.shape[1:] == (64, 32, 3)
    digits = images[:, 2, 2, 0] - 100
    assert (images[:, 2:30, 2:30] == digits[:, None, None, None] + 100).all()
    assert not images[:, [0, 1, 30, 31]].any(), "padded with black"
    assert not images[:, :32, [0, 1, 30, 31]].any()
    assert (images[:, 32:, :, 2] == np.arange(32)[:, None]).all(), "rows of a plane run from left to right"
    vehicles = images[:, 32, 0, 0]
    assert set(vehicles) == {1, 9}
    return digits, (vehicles == 9).astype(np.int64)


def test_both_blocks_tell_the_class_and_the_smaller_one_decides_how_many(root: Path, dataset: Dataset) -> None:
    for domain, batches, digits in [(dataset.domains[0], range(1, 6), "train"), (dataset.domains[1], [0], "t10k")]:
        upper, lower = blocks(domain)
        assert upper.tolist() == lower.tolist() == domain.labels.tolist()
        names = [f"data_batch_{i}.bin" if i else "test_batch.bin" for i in batches]
        cifar = np.concatenate([np.fromfile(root / "cifar-10-batches-bin" / n, np.uint8)[::3073] for n in names])
        mnist = np.frombuffer((root / f"MNIST/raw/{digits}-labels-idx1-ubyte").read_bytes()[8:], np.uint8)
        smaller = [min(np.sum(mnist == c), np.sum(cifar == v)) for c, v in enumerate((1, 9))]
        assert np.bincount(domain.labels).tolist() == smaller


@pytest.mark.parametrize(("name", "random", "kept"), [("random-mnist", 0, 1), ("random-cifar", 1, 0)])
def test_a_randomised_block_says_nothing_and_the_other_all(dataset: Dataset, name: str, random: int, kept: int) -> None:
    domain, test = dataset.domain(name), dataset.domain("test")
    said = blocks(domain)
    assert said[kept].tolist() == domain.labels.tolist() == test.labels.tolist()
    assert sorted(said[random]) == sorted(test.labels), "the same blocks, in another order"
    assert said[random].tolist() != domain.labels.tolist()
    half = slice(32, None) if kept else slice(32)
    assert (np.asarray(domain.inputs)[:, half] == np.asarray(test.inputs)[:, half]).all()


def test_domains_and_bytes_are_those_of_the_card_and_the_same_again(root: Path, dataset: Dataset) -> None:
    card = dataset_card("mnist-cifar")
    assert [d.name for d in dataset.domains] == [d.name for d in card.domains]
    assert build(root).manifest == dataset.manifest
    assert (root / card.roots[0]).resolve() == root.resolve(), "the card's root is the folder that holds both"


def test_what_is_missing_or_damaged_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin has 307299 bytes"):
        build(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin is not there.*binary version"):
        build(tmp_path)
