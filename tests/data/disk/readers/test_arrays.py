import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import DataError
from dgbench.data.cache.content import identified
from dgbench.data.disk.readers import read

MakeCard = Callable[..., DatasetCard]

PER = 4
CLASSES = ["airplane", "automobile", "bird"]
READER = {"kind": "arrays", "per_severity": PER, "clean_roots": ["cifar-10-batches-bin", "CIFAR-10"]}


def images(seed: int, count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


LABELS = np.array([2, 0, 1, 1], np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    for seed, name in enumerate(("fog", "gaussian_noise")):
        np.save(folder / f"{name}.npy", images(seed, 5 * PER))
    np.save(folder / "labels.npy", np.tile(LABELS, 5))
    return folder


def records(path: Path, pictures: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Write as the authors describe it: a byte for the label, then 1,024 red, 1,024 green and 1,024 blue bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for picture, label in zip(pictures, labels, strict=True):
            file.write(bytes([label]))
            for channel in range(3):
                file.write(picture[:, :, channel].tobytes())


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_a_severity_is_a_slice(make_card: MakeCard, root: Path, severity: int) -> None:
    listing = read(make_card(READER, [f"gaussian_noise-{severity}", "fog-2"], CLASSES), root)
    domain = listing.domains[0]
    expected = images(1, 5 * PER)[(severity - 1) * PER : severity * PER]
    assert np.array_equal([domain.pictures.read(row) for row in range(PER)], expected)
    assert domain.labels.tolist() == LABELS.tolist()
    assert domain.pictures.name(1).endswith(f"gaussian_noise.npy[{(severity - 1) * PER + 1}]")
    assert domain.official is None
    contents = identified(listing, root)[0].domains[0].contents
    assert contents is not None
    named_by = [hashlib.sha256(b"(32, 32, 3)" + picture.tobytes()).hexdigest()[:16] for picture in expected]
    assert [f"{content:016x}" for content in contents] == named_by


@pytest.mark.parametrize("place", ["cifar-10-batches-bin", "CIFAR-10/cifar-10-batches-bin"])
def test_clean_images_come_from_the_binary_form(make_card: MakeCard, root: Path, place: str) -> None:
    train, test = images(7, 6), images(8, PER)
    folder = root.parent / place
    records(folder / "data_batch_1.bin", train[:4], np.array([0, 1, 2, 0], np.uint8))
    records(folder / "data_batch_2.bin", train[4:], np.array([2, 2], np.uint8))
    records(folder / "test_batch.bin", test, LABELS)
    listing = read(make_card(READER, ["clean", "fog-1"], CLASSES, shared_groups=True), root)
    clean, fog = listing.domains
    assert np.array_equal([clean.pictures.read(row) for row in range(10)], np.concatenate([train, test]))
    assert clean.labels.tolist() == [0, 1, 2, 0, 2, 2, *LABELS.tolist()]
    assert clean.official is not None
    assert clean.official.tolist() == ["train"] * 6 + ["test"] * PER
    assert clean.groups[6:].tolist() == fog.groups.tolist(), "a picture and its corrupted form are one group"
    assert len(set(clean.groups.tolist())) == 10
    again = pickle.loads(pickle.dumps(clean.pictures))
    assert again.digest(5) == clean.pictures.digest(5) != clean.pictures.digest(6)
    assert clean.pictures.name(5).endswith("data_batch_2.bin[1]")


def test_the_shipped_card_reads_a_smaller_set(root: Path) -> None:
    card = dataset_card("cifar-10-c")
    domains = tuple(d for d in card.domains if d.name.startswith(("fog-", "gaussian_noise-")))
    reader = card.reader.model_copy(update={"per_severity": PER})
    listing = read(card.model_copy(update={"reader": reader, "domains": domains}), root)
    assert [len(d) for d in listing.domains] == [PER] * 10
    assert listing.classes[2] == "bird"


def test_pickled_images_are_not_read(make_card: MakeCard, root: Path) -> None:
    folder = root.parent / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "test_batch").write_bytes(pickle.dumps({}))
    with pytest.raises(DataError, match=r"pickle.*cifar-10-binary\.tar\.gz"):
        read(make_card(READER, ["clean"], CLASSES), root)


def test_clean_images_that_are_not_there(make_card: MakeCard, root: Path) -> None:
    with pytest.raises(DataError, match=r"not here. Looked in:(?s:.)*CIFAR-10"):
        read(make_card(READER, ["clean"], CLASSES), root)


def test_a_cut_binary_file(make_card: MakeCard, root: Path) -> None:
    folder = root.parent / "cifar-10-batches-bin"
    records(folder / "data_batch_1.bin", images(0, 2), LABELS[:2])
    (folder / "test_batch.bin").write_bytes(bytes(3000))
    with pytest.raises(DataError, match=r"test_batch.bin has 3000 bytes, no multiple of 3073"):
        read(make_card(READER, ["clean"], CLASSES), root)


def test_what_does_not_fit_is_refused(make_card: MakeCard, root: Path) -> None:
    for domains, what in ((["foog-1"], "foog.npy. Did you mean 'fog'"), (["fog-6"], "severity 1 to 5")):
        with pytest.raises(DataError, match=what):
            read(make_card(READER, domains, CLASSES), root)
    with pytest.raises(DataError, match="not in 0 to 1"):
        read(make_card(READER, ["fog-1"], CLASSES[:2]), root)
    np.save(root / "fog.npy", images(0, 3))
    with pytest.raises(DataError, match=r"fog.npy holds uint8 \(3, 32, 32, 3\), not uint8 \(20,"):
        read(make_card(READER, ["fog-1"], CLASSES), root)
    np.save(root / "labels.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"labels\.npy is no readable"):
        read(make_card(READER, ["fog-1"], CLASSES), root)
