"""Parquet files on disk, or a folder that ``save_to_disk`` of the package ``datasets`` wrote."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.core.paths import cache_root
from dgbench.core.reader_cards import Arrow
from dgbench.data.disk.readers.encoded import failures, images_of, listing
from dgbench.data.listing import Listing

if TYPE_CHECKING:
    import datasets

_NUMBER = re.compile(r"(^|[-_.])\d+([-_]of[-_]\d+)?$")
"""How the names of files end that are pieces of one table."""
_NO_NAMES = frozenset({"", "part", "data", "shard", "file"})
"""Names that say nothing but that there is data."""


def read(card: DatasetCard, reader: Arrow, root: Path) -> Listing:
    """The rows of all parts, in order.

    Raises:
        DataError: files are missing or damaged, or a column is not what the card says.
    """
    return listing(card, reader, load(root, reader.file), root, str(root / (reader.file or "")))


def load(root: Path, file: str | None = None) -> dict[str, datasets.Dataset]:
    """The parts, by name; what is converted on the way goes into the cache, nothing into ``root``.

    Args:
        root: A folder of Parquet files, or one that ``save_to_disk`` wrote.
        file: A Parquet file below it, if it is that alone.

    Raises:
        DataError: there is nothing of the kind, or a file is damaged.
    """
    import datasets

    path = root if file is None else root / file
    if path.is_dir() and is_saved(path):
        try:
            loaded: Any = datasets.load_from_disk(str(path), keep_in_memory=False)
            saved = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {path.name: loaded}
            parts = {name: part.with_format(None) for name, part in saved.items()}
        except failures() as error:
            raise _damaged(path, error) from error
        if not parts:
            raise DataError(f"{path}: save_to_disk wrote no split there; is it whole?")
        return parts
    files = parquet_files(path) if path.is_dir() else [path]
    if not files or not all(found.is_file() for found in files):
        raise DataError(
            f"{path}: there is no Parquet file, and nothing that save_to_disk wrote; is it the card's place?"
        )
    named = parts_of(path, files)
    # The names of parts are any; those that datasets takes are words.
    wanted = {f"part{i}": [glob.escape(str(found)) for found in of_part] for i, of_part in enumerate(named.values())}
    try:
        loaded = datasets.load_dataset("parquet", data_files=wanted, cache_dir=str(cache_root() / "hub"))
        return {name: loaded[f"part{i}"] for i, name in enumerate(named)}
    except failures() as error:
        raise _damaged(path, error) from error


def is_saved(folder: Path) -> bool:
    """Whether ``save_to_disk`` wrote a folder."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files below a folder, sorted; hidden ones are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() == ".parquet")
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def holds_images(file: Path) -> bool:
    """Whether a Parquet file has a column of encoded images."""
    import datasets
    from pyarrow import parquet

    try:
        return bool(images_of(datasets.Features.from_arrow_schema(parquet.read_schema(file))))
    except failures():  # what is damaged is named when it is read
        return False


def parts_of(path: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    """Parquet files by the part that they belong to.

    A part is called as its files, without the numbers at the end (``train-00000-of-00002.parquet``), and after their
    folder where there are several; where that says nothing, as the folder alone (``train/0000.parquet``).
    """
    files = list(files)
    several = len({file.parent for file in files}) > 1
    parts: dict[str, list[Path]] = {}
    for file in files:
        name = _NUMBER.sub("", file.stem)
        below = file.parent.relative_to(path).as_posix() if path.is_dir() and file.parent != path else ""
        if name.lower() in _NO_NAMES:
            name = below or path.stem
        elif several and below:
            name = f"{below}/{name}"
        parts.setdefault(name, []).append(file)
    return parts


def _damaged(path: Path, error: Exception) -> DataError:
    cause = error.__cause__ or error
    reason = next(iter(str(cause).splitlines()), "") or type(cause).__name__
    return DataError(f"{path} cannot be read ({reason}); is it whole? Fetch it, or write it, again")
