"""Images listed in a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dgbench.core.dataset_card import DatasetCard, Table
from dgbench.core.errors import DataError
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.pictures import Files
from dgbench.data.readers.columns import domain_rows, group_column, has_columns, row_groups, split_column
from dgbench.data.readers.naming import Present, label_numbers

if TYPE_CHECKING:
    import polars


def read(card: DatasetCard, reader: Table, root: Path) -> Listing:
    """The images of a CSV file below ``root``, in the order of its rows.

    Raises:
        DataError: the file or a column is missing, a value is not one of the card's, or an image is not there.
    """
    path = root / reader.file
    table = _table(path)
    has_columns((reader.image, reader.label, reader.domain, reader.split, reader.group), table.columns, str(path))
    column = {name: _column(table, name, path) for name in _used(reader)}
    rows = domain_rows(card, column[reader.domain], f"{path}, column '{reader.domain}'", all_known=True)
    classes, labels = label_numbers(card, column[reader.label], f"{path}, column '{reader.label}'")
    official = None
    if reader.split:
        official = split_column(column[reader.split], reader.splits, f"{path}, column '{reader.split}'")
    groups = group_column(column[reader.group]) if reader.group else row_groups(card, len(labels))
    folder = root / reader.folder
    images = np.array(column[reader.image], object)
    _all_present(folder, column[reader.image], path)
    return Listing(
        card.name,
        classes,
        tuple(
            DomainListing(
                domain.name,
                Files(folder, tuple(images[of_domain])),
                labels[of_domain],
                groups[of_domain],
                None if official is None else official[of_domain],
            )
            for domain, of_domain in zip(card.domains, rows, strict=True)
        ),
        shared_groups=card.shared_groups,
    )


def _used(reader: Table) -> list[str]:
    columns = (reader.image, reader.label, reader.domain, reader.split, reader.group)
    return [name for name in columns if name is not None]


def _table(path: Path) -> polars.DataFrame:
    import polars

    try:
        return polars.read_csv(path, infer_schema=False)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); is it the file of the card?") from error
    except polars.exceptions.PolarsError as error:
        raise DataError(f"{path} is no CSV file with a header ({str(error).splitlines()[0]})") from error


def _column(table: polars.DataFrame, name: str, path: Path) -> list[str]:
    """The texts of a column, without spaces around them."""
    values: list[str | None] = table[name].to_list()
    texts = [value.strip() for value in values if value is not None and value.strip()]
    if len(texts) < len(values):
        row = next(i for i, value in enumerate(values) if value is None or not value.strip())
        raise DataError(f"{path}: column '{name}' has no value in row {row + 1}; fill it in, or take the row out")
    return texts


def _all_present(folder: Path, images: list[str], path: Path) -> None:
    present = Present(folder)
    for number, image in enumerate(images, 1):
        if image not in present:
            raise DataError(
                f"{path}: row {number} names '{image}', and there is no such file in {folder}; "
                "mend the row, or 'reader.folder' on the card"
            )
