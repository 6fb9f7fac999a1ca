"""Datasets of the Hugging Face hub, or a folder in the same form: Parquet files, or folders of images."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgbench.core.dataset_card import DatasetCard, Hub
from dgbench.core.errors import DataError
from dgbench.core.paths import cache_root
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.locate import hub_home
from dgbench.data.pictures import Rows
from dgbench.data.readers.columns import domain_rows, group_column, has_columns, row_groups
from dgbench.data.readers.naming import SPLITS, label_numbers, plain

if TYPE_CHECKING:
    import datasets


def read(card: DatasetCard, reader: Hub, root: Path) -> Listing:
    """The rows of all splits, in order.

    With a domain column, the hub's splits are official where all have usual names (train, validation, test) and there
    are several; without one each split is a domain.

    Args:
        card: The dataset.
        reader: Its id, revision and columns.
        root: A folder with the dataset, or ``hub_home()`` to ask the hub and its cache.

    Raises:
        DataError: the dataset cannot be had, needs a program to be read, or a column is missing.
    """
    where = f"hf://{reader.id}@{reader.revision}" if root == hub_home() else str(root)
    parts = _load(reader, root, where)
    names = list(parts)
    for part in parts.values():
        has_columns((reader.image, reader.label, reader.domain, reader.group), part.column_names, where)
    table, version = _joined(parts, reader.image, where)
    of_part = [name for name, part in parts.items() for _ in range(len(part))]
    labels_text = _texts(table, reader.label)
    values = of_part if reader.domain is None else _texts(table, reader.domain)
    rows = domain_rows(card, values, f"{where}, " + (f"column '{reader.domain}'" if reader.domain else "splits"))
    classes, labels = label_numbers(card, labels_text, f"{where}, column '{reader.label}'")
    groups = group_column(_texts(table, reader.group)) if reader.group else row_groups(card, len(labels))
    official = None
    if reader.domain is not None and len(names) > 1 and all(plain(name) in SPLITS for name in names):
        official = np.array([SPLITS[plain(name)] for name in of_part], "<U10")
    images = table.select_columns([reader.image])
    return Listing(
        card.name,
        classes,
        tuple(
            DomainListing(
                domain.name,
                Rows(images, reader.image, of_domain, where, version),
                labels[of_domain],
                groups[of_domain],
                None if official is None else official[of_domain],
            )
            for domain, of_domain in zip(card.domains, rows, strict=True)
        ),
        shared_groups=card.shared_groups,
    )


def _load(reader: Hub, root: Path, where: str) -> dict[str, datasets.Dataset]:
    """The splits, by name; what is converted on the way goes into the cache, nothing into ``root``."""
    try:
        import datasets
    except ImportError as error:
        raise DataError(f"{where} is read by the package 'datasets', which is missing: pip install datasets") from error
    try:
        if root == hub_home():
            loaded: Any = datasets.load_dataset(reader.id, revision=reader.revision)
        else:
            loaded = datasets.load_dataset(str(root), cache_dir=str(cache_root() / "hub"))
    except RuntimeError as error:
        raise DataError(
            f"{where} needs a program of its own to be read ({error}). dgbench runs none: look on the hub for a copy "
            "as Parquet, and put its id on the card"
        ) from error
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"{where} cannot be loaded ({type(error).__name__}: {error}). A dataset of the hub needs a connection when "
            "it is read for the first time; a folder needs Parquet files, or images in folders"
        ) from error
    return dict(loaded)


def _joined(parts: dict[str, datasets.Dataset], image: str, where: str) -> tuple[datasets.Dataset, str]:
    """All splits as one table whose images are not decoded, and its version: names, sizes and times of its files."""
    import datasets

    table = datasets.concatenate_datasets(list(parts.values()))
    if not isinstance(table.features[image], datasets.Image):
        raise DataError(f"{where}: column '{image}' holds no images, but {table.features[image]}")
    files = [Path(file["filename"]) for file in table.cache_files]
    about = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    version = hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]
    return table.cast_column(image, datasets.Image(decode=False)), version


def _texts(table: datasets.Dataset, column: str) -> list[str]:
    """A column as text; classes by their names."""
    import datasets

    kind = table.features[column]
    values = table.select_columns([column])[:][column]
    if isinstance(kind, datasets.ClassLabel):
        return [kind.names[value] for value in values]
    return [str(value) for value in values]
