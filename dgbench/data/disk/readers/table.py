"""Images listed in a table of text: a CSV file in any usual form, or lines of JSON objects."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

import numpy as np

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.core.reader_cards import Table
from dgbench.data.disk.naming import Present, label_numbers
from dgbench.data.disk.readers.columns import (
    domain_rows,
    group_column,
    has_columns,
    in_words,
    judged_by,
    listed,
    official_groups,
    row_groups,
    split_column,
)
from dgbench.data.disk.readers.sheet import SHOWN, Columns, Form, open_sheet
from dgbench.data.listing import Listing, Part
from dgbench.data.pixels.pictures import Files

_PARTS = {"train": "train", "val": "validation", "test": "test"}
"""Official parts as WILDS calls them."""


def read(card: DatasetCard, reader: Table, root: Path) -> Listing:
    """The images of a table below ``root``, in the order of its rows.

    Raises:
        DataError: the file or a column is missing, rows are wrong, a value is not one of the card's, or images are not
            there.
    """
    sheet = open_sheet(root / reader.file, Form(reader.encoding, reader.separator))
    said = (reader.image, reader.label, reader.domain, reader.split, reader.group)
    used = list(dict.fromkeys(name for name in (*said, *judged_by(card)) if name is not None))
    has_columns(used, sheet.header, str(sheet.path))
    return listing(card, reader, root, sheet.columns(used))


def parts(card: DatasetCard, reader: Table, root: Path) -> dict[str, Part]:
    """The rows of each official part: ``train``, ``val``, ``test``; nothing where the card names no column of splits.

    Raises:
        DataError: as :func:`read`, but for images, which are not looked for.
    """
    if reader.split is None:
        return {}
    sheet = open_sheet(root / reader.file, Form(reader.encoding, reader.separator))
    used = list(dict.fromkeys((reader.label, reader.split, *judged_by(card))))
    has_columns(used, sheet.header, str(sheet.path))
    column, path = sheet.columns(used).values, str(sheet.path)
    labels = label_numbers(card, in_words(column[reader.label]), f"{path}, column '{reader.label}'")[1]
    official = split_column(in_words(column[reader.split]), reader.splits, f"{path}, column '{reader.split}'")
    judged = official_groups(card, lambda name: column[name], path)
    rows = {name: np.flatnonzero(official == meaning) for name, meaning in _PARTS.items()}
    return {name: Part(labels[own], None if judged is None else judged[own]) for name, own in rows.items()}


def listing(card: DatasetCard, reader: Table, root: Path, table: Columns) -> Listing:
    """The images of a table whose columns were read; raises DataError as :func:`read`."""
    path, column = root / reader.file, table.values
    rows = domain_rows(card, in_words(column[reader.domain]), f"{path}, column '{reader.domain}'", all_known=True)
    classes, labels = label_numbers(card, in_words(column[reader.label]), f"{path}, column '{reader.label}'")
    official = None
    if reader.split:
        official = split_column(in_words(column[reader.split]), reader.splits, f"{path}, column '{reader.split}'")
    groups = group_column(in_words(column[reader.group])) if reader.group else row_groups(card, len(labels))
    folder = root / reader.folder
    images = np.array(files_of(column[reader.image], folder, str(path), table.lines), object)
    judged = official_groups(card, lambda name: column[name], str(path))
    return listed(
        card, classes, rows, lambda of_domain: Files(folder, tuple(images[of_domain])), labels, groups, official, judged
    )


def files_of(names: Sequence[str], folder: Path, where: str, lines: Sequence[int] | None = None) -> list[str]:
    r"""The files that a column of image paths means.

    A name that is not there may be written for Windows (``img\a.png``), or with its accents composed in another way.

    Args:
        names: The column.
        folder: Where relative paths start.
        where: What errors call the table.
        lines: Of each name, for errors; if left out, rows count from 1.

    Raises:
        DataError: some are not there; the message counts them.
    """
    present, found, missing = Present(folder), list[str](), list[str]()
    for row, name in enumerate(names):
        meant = name if name in present else next((other for other in _spellings(name) if other in present), None)
        if meant is None:
            missing.append(f"'{name}' ({f'line {lines[row]}' if lines else f'row {row + 1}'})")
        else:
            found.append(meant)
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise DataError(
            f"{where}: {len(missing)} of {len(names)} images are not there: {', '.join(missing[:SHOWN])}{more}. "
            f"Mend the paths, which start in {folder}; of a table of text 'folder' of the card's reader says where"
        )
    return found


def _spellings(name: str) -> list[str]:
    path = PureWindowsPath(name).as_posix()
    return [path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)]
