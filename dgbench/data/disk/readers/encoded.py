"""Tables that hold their images, as the package ``datasets`` gives them, in parts: its splits, or files of one name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.core.reader_cards import Encoded
from dgbench.data.disk.naming import label_numbers, plain, split_meanings
from dgbench.data.disk.readers.columns import (
    domain_rows,
    group_column,
    has_columns,
    in_words,
    listed,
    row_groups,
    split_column,
)
from dgbench.data.disk.readers.table import files_of
from dgbench.data.listing import Listing, Pictures
from dgbench.data.pixels.pictures import Files, Rows

if TYPE_CHECKING:
    import datasets

Parts = Mapping[str, "datasets.Dataset"]
"""Tables by name."""

_TEXT = ("string", "large_string")


def failures() -> tuple[type[Exception], ...]:
    """What ``datasets`` and ``pyarrow`` raise on damaged files."""
    import datasets

    known = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError)
    return (*known, datasets.exceptions.DatasetsError)


def listing(card: DatasetCard, reader: Encoded, parts: Parts, root: Path, where: str) -> Listing:
    """The rows of all parts, in order.

    With a domain column, and without one of splits, the parts are official splits where all have usual names (train,
    validation, test) and there are several; without a domain column each part is a domain.

    Args:
        card: The dataset.
        reader: Its columns.
        parts: Its tables.
        root: Where images start that lie beside the tables.
        where: What errors call the dataset.

    Raises:
        DataError: a column is missing or holds something else, or rows have no value.
    """
    for part in parts.values():
        used = (reader.image, reader.label, reader.domain, reader.split, reader.group)
        has_columns(used, part.column_names, where)
    values = part_names(parts) if reader.domain is None else texts(parts, reader.domain, where)
    rows = domain_rows(card, values, f"{where}, " + (f"column '{reader.domain}'" if reader.domain else "splits"))
    classes, labels = label_numbers(card, texts(parts, reader.label, where), f"{where}, column '{reader.label}'")
    groups = group_column(texts(parts, reader.group, where)) if reader.group else row_groups(card, len(labels))
    official, meanings = None, split_meanings(reader.splits)
    if reader.split is not None:
        official = split_column(texts(parts, reader.split, where), reader.splits, f"{where}, column '{reader.split}'")
    elif reader.domain is not None and len(parts) > 1 and all(plain(name) in meanings for name in parts):
        official = np.array([meanings[plain(name)] for name in part_names(parts)], "<U10")
    pictures = _pictures(parts, reader.image, root, where)
    return listed(card, classes, rows, pictures, labels, groups, official)


def part_names(parts: Parts) -> list[str]:
    """For each row the name of its part."""
    return [name for name, part in parts.items() for _ in range(len(part))]


def texts(parts: Parts, column: str, where: str) -> list[str]:
    """A column as text, classes by their names.

    Raises:
        DataError: it holds lists or images, or rows have no value; the message counts them.
    """
    import datasets

    found, missing = list[str](), 0
    for part in parts.values():
        kind = part.features[column]
        if not isinstance(kind, datasets.ClassLabel | datasets.Value) or kind.dtype in ("binary", "large_binary"):
            raise DataError(f"{where}: column '{column}' holds {kind}, and no text or number")
        try:
            values = part.select_columns([column]).with_format(None)[:][column]
        except failures() as error:
            raise DataError(f"{where}: column '{column}' cannot be read ({error}); is the data whole?") from error
        if isinstance(kind, datasets.ClassLabel):
            # Test parts without labels have -1 there, which Python would take for the last class.
            values = [kind.names[v] if v is not None and 0 <= v < len(kind.names) else None for v in values]
        said = ["" if value is None or value != value else str(value).strip() for value in values]
        missing += said.count("")
        found += said
    if missing:
        raise DataError(
            f"{where}: {missing} of {len(found)} rows have no value in column '{column}' (a test part without "
            "labels?); fill them in, or take the rows out"
        )
    return in_words(found)


def images_of(features: datasets.Features) -> list[str]:
    """The columns that hold images."""
    return [name for name, kind in features.items() if _holds_images(kind)]


def _holds_images(kind: object) -> bool:
    import datasets

    if isinstance(kind, datasets.Value):
        return kind.dtype in ("binary", "large_binary")
    return isinstance(kind, datasets.Image) or (isinstance(kind, dict) and set(kind) == {"bytes", "path"})


def _pictures(parts: Parts, column: str, root: Path, where: str) -> Callable[[NDArray[np.int64]], Pictures]:
    """The pictures of some rows: encoded in the tables, or files that the tables only name."""
    import datasets

    kinds = [part.features[column] for part in parts.values()]
    if all(isinstance(kind, datasets.Value) and kind.dtype in _TEXT for kind in kinds):
        names = [value or "" for part in parts.values() for value in part.select_columns([column])[:][column]]
        return _files(names, root, where)
    if odd := [kind for kind in kinds if not _holds_images(kind)]:
        raise DataError(f"{where}: column '{column}' holds no images, but {odd[0]}")
    bare = datasets.Image(decode=False)
    # 'cast' would write beside the tables, 'cast_column' to what is decoded does not.
    table = datasets.concatenate_datasets(
        [part.select_columns([column]).cast_column(column, bare) for part in parts.values()]
    )
    chunks = table.with_format("arrow")[:][column].chunks
    if len(table) and all(chunk.field("bytes").null_count == len(chunk) for chunk in chunks):
        paths = [name for chunk in chunks for name in chunk.field("path").to_pylist()]
        if None not in paths:
            return _files(paths, root, where)
    files = [Path(file["filename"]) for part in parts.values() for file in part.cache_files]
    about = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    version = hashlib.sha256("\n".join(about).encode(errors="surrogateescape")).hexdigest()[:16]
    return lambda rows: Rows(table, column, rows, where, version)


def _files(names: Sequence[str], root: Path, where: str) -> Callable[[NDArray[np.int64]], Pictures]:
    found = np.array(files_of(names, root, where), object)
    return lambda rows: Files(root, tuple(found[rows]))
