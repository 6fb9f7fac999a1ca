"""Datasets of WILDS, read by the package ``wilds`` from a folder as it comes out of the archive."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.core.reader_cards import Wilds
from dgbench.data.disk.naming import hint
from dgbench.data.disk.readers.columns import Rows, domain_rows, listed, official_groups, row_groups
from dgbench.data.listing import Listing, Part
from dgbench.data.pixels.pictures import Files

log = logging.getLogger(__name__)

_SPLITS = {
    "train": "train",
    "id_val": "validation",
    "val": "validation",
    "id_test": "test",
    "test": "test",
}

_IMAGES: dict[str, Callable[[Any], list[str]]] = {
    "camelyon17": lambda data: list(data._input_array),
    "fmow": lambda data: [f"images/rgb_img_{row}.png" for row in data.full_idxs],
    "iwildcam": lambda data: [f"train/{name}" for name in data._input_array],
    "waterbirds": lambda data: list(data._input_array),
}
"""Where a dataset keeps the image of each row, below its folder.

The package only hands out decoded images. Paths can be checked and hashed, and travel to worker processes.
"""


def parts(card: DatasetCard, reader: Wilds, root: Path) -> dict[str, Part]:
    """What the package's ``get_subset`` has of each split, by the package's name for it.

    Args:
        card, reader, root: As for :func:`read`.

    Raises:
        DataError: as :func:`read`.
    """
    data = _dataset(reader, root)
    where = str(data.data_dir)
    labels = _labels(card, data, where)
    judged = official_groups(card, lambda name: _field(data, name, where).tolist(), where)
    rows = {name: np.flatnonzero(data.split_array == number) for name, number in data.split_dict.items()}
    return {name: Part(labels[own], None if judged is None else judged[own]) for name, own in rows.items()}


def read(card: DatasetCard, reader: Wilds, root: Path) -> Listing:
    """The rows of the official splits, in order.

    Args:
        card: The dataset.
        reader: Which dataset of the package, and what a domain is.
        root: The dataset's folder (``waterbirds_v1.0``), or the one that holds it.

    Raises:
        DataError: the package is missing, or does not accept the folder, or there is no such metadata field.
    """
    data = _dataset(reader, root)
    split_names = {number: name for name, number in data.split_dict.items()}
    parts = [split_names.get(int(number), "") for number in data.split_array]
    used = np.flatnonzero(np.array(parts) != "")  # some rows are of no split, and nobody uses them
    where = str(data.data_dir)
    if reader.domain == "split":
        values = ["train" if parts[row].startswith("id_") else parts[row] for row in used]
    else:
        values = _field(data, reader.domain, where)[used].tolist()
    labels = _labels(card, data, where)
    groups = row_groups(card, len(data))
    if reader.group:
        groups = np.unique(_field(data, reader.group, where), return_inverse=True)[1].astype(np.int64)
    official = np.array([_SPLITS.get(name, "") for name in parts], "<U10")
    images = np.array(_IMAGES[reader.dataset](data), object)
    judged = official_groups(card, lambda name: _field(data, name, where).tolist(), where)
    of_domains = domain_rows(card, values, f"{where}, {reader.domain}")
    named, divided = _divided(card, of_domains, official[used], lambda name: _field(data, name, where)[used])
    paths, classes = images[used], _class_names(card, data)
    return listed(
        card,
        classes,
        divided,
        lambda rows: Files(Path(where), tuple(str(path) for path in paths[rows])),
        labels[used],
        groups[used],
        official[used],
        None if judged is None else judged[used],
        named,
    )


def _divided(
    card: DatasetCard,
    of_domains: Sequence[Rows],
    official: NDArray[np.str_],
    field: Callable[[str], NDArray[np.str_]],
) -> tuple[list[tuple[str, str | None]], list[Rows]]:
    """What the domains are called, and of which of the card's each is one; and the rows of each.

    Where the card's is many, those come in the order of their values. Where some of them train officially, the rows of
    those that do not are left out: they are no domains to learn from.
    """
    named: list[tuple[str, str | None]] = []
    divided: list[Rows] = []
    for domain, rows in zip(card.domains, of_domains, strict=True):
        if domain.each is None:
            named.append((domain.name, None))
            divided.append(rows)
            continue
        values, trains = field(domain.each)[rows], official[rows] == "train"
        kept = np.unique(values[trains]) if trains.any() else np.unique(values)
        for value in sorted(kept.tolist(), key=lambda value: (not value.isdecimal(), len(value), value)):
            named.append((f"{domain.name}/{domain.each}-{value}", domain.name))
            divided.append(rows[values == value])
        if strays := int(np.count_nonzero(~np.isin(values, kept))):
            log.info(
                "%s: %d rows of %s are of no %s that trains, and are left out",
                card.name,
                strays,
                domain.name,
                domain.each,
            )
    return named, divided


def _dataset(reader: Wilds, root: Path) -> Any:
    """The dataset of the package.

    Raises:
        DataError: see ``read``.
    """
    if reader.dataset not in _IMAGES:
        raise DataError(
            f"dgbench does not read the WILDS dataset '{reader.dataset}'.{hint([reader.dataset], [*_IMAGES])}"
        )
    folder = f"{reader.dataset}_v{reader.version}"
    above = root.parent if root.name == folder else root
    try:
        with _no_question_for_updates():
            from wilds import get_dataset
    except ImportError as error:
        raise DataError(
            f"'{reader.dataset}' is read by the package 'wilds' ({error}): pip install dgbench[wilds]"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the package's own tensors and groups
            return get_dataset(reader.dataset, version=reader.version, root_dir=str(above), download=False)
    except (FileNotFoundError, ValueError, KeyError, AssertionError) as error:
        raise DataError(
            f"the package 'wilds' does not accept {above / folder} ({type(error).__name__}: {error}). It wants the "
            f"folder as it comes out of the archive, with RELEASE_v{reader.version}.txt and the metadata in it"
        ) from error


@contextmanager
def _no_question_for_updates() -> Iterator[None]:
    """``wilds`` asks the network for a newer version when it is imported, unless it lacks ``outdated`` to ask with."""
    missing = object()
    before = sys.modules.get("outdated", missing)
    sys.modules["outdated"] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        yield
    finally:
        if before is missing:
            del sys.modules["outdated"]
        else:
            sys.modules["outdated"] = before  # type: ignore[assignment]


def _labels(card: DatasetCard, data: Any, where: str) -> NDArray[np.int64]:
    labels: NDArray[np.int64] = data.y_array.numpy().astype(np.int64).reshape(-1)
    if labels.min() < 0 or labels.max() >= card.class_count:
        raise DataError(
            f"{where}: labels go from {labels.min()} to {labels.max()}, but the card says {card.class_count} classes"
        )
    return labels


def _field(data: Any, name: str, where: str) -> NDArray[np.str_]:
    """A metadata field as text, ``[n]``; numbers that have names become names."""
    if name not in data.metadata_fields:
        known = list(data.metadata_fields)
        raise DataError(f"{where}: there is no metadata field '{name}'.{hint([name], known)}")
    values = data.metadata_array[:, data.metadata_fields.index(name)].numpy()
    names = (data.metadata_map or {}).get(name)
    return np.array([str(names[v] if names else v).strip() for v in values.tolist()], np.str_)


def _class_names(card: DatasetCard, data: Any) -> tuple[str, ...]:
    """Names by class number: those of the card, of the package, or the numbers."""
    if isinstance(card.classes, tuple):
        return card.classes
    named = (data.metadata_map or {}).get("y", ())
    if len(named) == card.classes:
        return tuple(str(name).strip() for name in named)
    return tuple(str(number) for number in range(card.classes))
