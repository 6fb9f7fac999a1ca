"""Corrupted images as arrays, in the form of CIFAR-10-C, with the uncorrupted CIFAR-10 in its binary form."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError, did_you_mean
from dgbench.core.reader_cards import Arrays
from dgbench.data.disk.locate import data_roots
from dgbench.data.listing import DomainListing, Listing, Picture
from dgbench.data.pixels.cifar import images, records
from dgbench.data.pixels.pictures import Frames, mapped, stamp

SEVERITIES = 5
CLEAN = "clean"


def read(card: DatasetCard, reader: Arrays, root: Path) -> Listing:
    """Each severity of a corruption is a domain; all show the test images of the uncorrupted set, in its order.

    A group is a picture: the test pictures come first, then the training pictures, which only ``clean`` has.

    Raises:
        DataError: a file is missing, has another shape, or is pickled.
    """
    labels = _labels(root, reader.per_severity)
    domains = tuple(
        _clean(reader, root) if domain.name == CLEAN else _corrupted(domain.name, reader, root, labels)
        for domain in card.domains
    )
    classes = card.classes if isinstance(card.classes, tuple) else tuple(str(i) for i in range(card.classes))
    for domain in domains:
        if domain.labels.min() < 0 or domain.labels.max() >= len(classes):
            raise DataError(f"{card.name}: labels of '{domain.name}' are not in 0 to {len(classes) - 1}; see {root}")
    return Listing(card.name, classes, domains, shared_groups=card.shared_groups)


@dataclass(frozen=True)
class Records:
    """The pictures of CIFAR's binary files, in order."""

    files: tuple[Path, ...]
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return sum(self.counts)

    def name(self, row: int) -> str:
        """The file and the record in it."""
        path, record = self._place(row)
        return f"{path}[{record}]"

    def stamp(self, row: int) -> str:
        """Size and time of the file."""
        return stamp(self._place(row)[0])

    def digest(self, row: int) -> bytes:
        """SHA-256 of the picture's planes."""
        path, record = self._place(row)
        return hashlib.sha256(records(path)[record, 1:].tobytes()).digest()

    @contextmanager
    def open(self, row: int) -> Iterator[Image.Image]:
        """The picture."""
        yield Image.fromarray(self.read(row))

    def read(self, row: int) -> Picture:
        """The picture."""
        path, record = self._place(row)
        image: Picture = images(records(path)[record : record + 1])[0]
        return image

    def _place(self, row: int) -> tuple[Path, int]:
        starts = np.cumsum((0, *self.counts))
        number = int(np.searchsorted(starts, row, side="right")) - 1
        return self.files[number], int(row - starts[number])


def _corrupted(name: str, reader: Arrays, root: Path, labels: NDArray[np.int64]) -> DomainListing:
    corruption, _, severity = name.rpartition("-")
    if severity not in map(str, range(1, SEVERITIES + 1)):
        raise DataError(f"'{name}' is no domain of arrays; domains are '{CLEAN}' and '<corruption>-<severity 1 to 5>'")
    path = root / f"{corruption}.npy"
    if not path.is_file():
        there = [p.stem for p in root.glob("*.npy") if p.stem != "labels"]
        raise DataError(f"there is no file {path}.{did_you_mean(corruption, there)}")
    per = reader.per_severity
    shape, kind = mapped(path).shape, mapped(path).dtype
    if shape != (SEVERITIES * per, *shape[1:3], 3) or kind != np.uint8:
        raise DataError(
            f"{path} holds {kind} {shape}, not uint8 ({SEVERITIES * per}, height, width, 3); fetch it again"
        )
    rows = np.arange((int(severity) - 1) * per, int(severity) * per, dtype=np.int64)
    return DomainListing(name, Frames(path, rows), labels[rows], np.arange(per, dtype=np.int64))


def _labels(root: Path, per_severity: int) -> NDArray[np.int64]:
    path, count = root / "labels.npy", SEVERITIES * per_severity
    labels = mapped(path)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise DataError(f"{path} holds {labels.dtype} {labels.shape}, not {count} whole numbers; fetch it again")
    return np.array(labels, np.int64)


def _clean(reader: Arrays, root: Path) -> DomainListing:
    folder = _clean_folder(reader, root)
    train, test = sorted(folder.glob("data_batch_*.bin")), [folder / "test_batch.bin"]
    if not train:
        raise DataError(f"there is no data_batch_1.bin in {folder}, only the test part; fetch the archive again")
    files = (*train, *test)
    parts = [records(path) for path in files]
    test_count, train_count = len(parts[-1]), sum(map(len, parts[:-1]))
    return DomainListing(
        CLEAN,
        Records(files, tuple(map(len, parts))),
        np.concatenate([part[:, 0] for part in parts]).astype(np.int64),
        np.concatenate([np.arange(test_count, test_count + train_count), np.arange(test_count)]).astype(np.int64),
        np.array(["train"] * train_count + ["test"] * test_count, "<U10"),
    )


def _clean_folder(reader: Arrays, root: Path) -> Path:
    above = (root, root.parent, *data_roots())
    places = [folder / name for folder in above for name in reader.clean_roots]
    for place in places:
        for folder in (place, place / "cifar-10-batches-bin"):
            if (folder / "test_batch.bin").is_file():
                return folder
    for place in places:
        for folder in (place, place / "cifar-10-batches-py", place.parent / "cifar-10-batches-py"):
            if (folder / "test_batch").is_file():
                raise DataError(
                    f"{folder} holds the uncorrupted images in Python's pickle form, which can run any program and is "
                    "not read here; get the binary version (cifar-10-binary.tar.gz) and extract it beside that folder"
                )
    looked = "".join(f"\n  {place}" for place in places)
    raise DataError(
        f"the uncorrupted images (cifar-10-batches-bin with test_batch.bin) are not here. Looked in:{looked}\n"
        "Get the binary version (cifar-10-binary.tar.gz) and extract it there."
    )
