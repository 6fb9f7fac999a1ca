from pathlib import Path

import numpy as np
import pytest
from idx_files import write_idx, write_mnist

from dgbench.core.errors import DataError
from dgbench.data.sets import mnist


@pytest.mark.parametrize("folder", [".", "raw", "MNIST/raw", "MNIST", "FashionMNIST/raw"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_files_are_found_packed_or_not_wherever_torchvision_puts_them(tmp_path: Path, folder: str, end: str) -> None:
    images, labels = write_mnist(tmp_path / folder, 5, 3, end)
    train, test = mnist.read(tmp_path)
    assert (train.images == images[:5]).all()
    assert (test.images == images[5:]).all()
    assert test.labels.tolist() == labels[5:].tolist()
    assert test.labels.dtype == np.int64
    everything = mnist.read_all(tmp_path)
    assert (everything.images == images).all()
    assert (everything.rgb() == images[..., None]).all()
    assert everything.rgb().shape == (8, 28, 28, 3)


def test_names_with_a_dot_are_the_same(tmp_path: Path) -> None:
    images, _ = write_mnist(tmp_path, 2, 1)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert (mnist.read_all(tmp_path).images == images).all()


def test_the_layout_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 9, 8, 7, 6, 5, 4]))
    assert mnist.read_idx(path).tolist() == [[9, 8, 7], [6, 5, 4]]


def test_a_missing_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    write_mnist(tmp_path, 2, 1)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"no t10k-labels-idx1-ubyte.*docs/datasets\.md"):
        mnist.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no IDX file"),
        (b"<html>", "no IDX file"),
        (bytes([0, 0, 8, 255, *[0, 0, 0, 1] * 255, 7]), "3 axes or fewer"),
        (bytes([0, 0, 8, 0]), "3 axes or fewer"),
        (bytes([0, 0, 8, 3, *[255] * 8, 0, 0, 0, 0]), "cut short"),
        (bytes([0, 0, 8, 3, 0, 0]), "cut short"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3]), "cut short"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 1, 2, 3]), "too long"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 1]), r"labels \(2,\)"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    write_mnist(tmp_path, 2, 1)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=what) as error:
        mnist.read(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "fetch" in str(error.value).lower()


def test_a_packed_file_that_is_cut(tmp_path: Path) -> None:
    write_mnist(tmp_path, 2, 1, ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz cannot be read"):
        mnist.read(tmp_path)


def test_labels_beyond_nine_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path, 2, 1)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([10], np.uint8))
    with pytest.raises(DataError, match="from 0 to 9"):
        mnist.read(tmp_path)
