"""Reading what strangers wrote: sizes before content, plain files only, JSON and flat Parquet, nothing that runs.

A small file can stand for much: compressed pages, one long text that a million rows point at, lists in lists. So a
table's own account of its rows and pages is looked at before any page is, text stays a dictionary until its lengths
are known, and what comes out is held against what was announced.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from dgbench.core.errors import RecordError, shown

LARGEST_TABLE = 1 << 30
"""Bytes of a table, on disk and in memory."""
LARGEST_FOLDER = 1 << 35
"""Bytes of all files together."""
MOST_FILES = 50_000
MOST_VALUES = 200_000_000
"""In all cells of a table."""
LONGEST_TEXT = 4 << 20
"""Bytes of one cell."""

_UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, MemoryError, OverflowError)
"""What a Parquet reader may say of a file that is none. (Arrow's errors are mostly kinds of these.)"""


def entries(folder: Path) -> Iterator[tuple[str, int]]:
    """The path in the folder and the size of every file, links not followed.

    Raises:
        RecordError: there is something that is neither a file nor a folder, or too much of anything.
    """
    count = total = 0
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as found:
            for entry in sorted(found, key=lambda entry: entry.name):
                count += 1
                name = Path(entry.path).relative_to(folder).as_posix()
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    pending.append(Path(entry.path))
                elif stat.S_ISREG(mode):
                    size = entry.stat(follow_symlinks=False).st_size
                    total += size
                    yield name, size
                else:
                    kind = "a symbolic link" if stat.S_ISLNK(mode) else "no plain file"
                    raise RecordError(f"{shown(name)} is {kind}; a submission holds files alone")
                if count > MOST_FILES or total > LARGEST_FOLDER:
                    raise RecordError(f"there is more than {MOST_FILES:,} files or {LARGEST_FOLDER:,} bytes")


def content(path: Path, largest: int) -> bytes:
    """The bytes of a plain file; raises RecordError where there is none, or it is larger."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # neither a link nor a pipe that waits
    except OSError as error:
        raise RecordError(f"{path.name} cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise RecordError(f"{path.name} is no plain file")
    with open(handle, "rb") as file:  # noqa: PTH123 (it is open already)
        read = file.read(largest + 1)
    if len(read) > largest:
        raise RecordError(f"{path.name} has more than {largest:,} bytes")
    return read


def read_json(path: Path, largest: int) -> Any:
    """Strict JSON: UTF-8, no key twice, every number finite; raises RecordError where it is not."""
    try:
        text = content(path, largest).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError(f"{path.name} is not in UTF-8 ({error.reason} at byte {error.start})") from error
    return read_json_text(text, path.name)


def read_json_text(text: str, where: str) -> Any:
    """As :func:`read_json`, of a text; ``where`` opens the message."""
    try:
        return json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_number)
    except RecursionError as error:
        raise RecordError(f"{where} is far too deep") from error
    except ValueError as error:
        raise RecordError(f"{where} is no JSON: {shown(str(error), 200)}") from error


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def sha256(path: Path, largest: int = LARGEST_TABLE) -> str:
    """SHA-256 of a plain file."""
    return hashlib.sha256(content(path, largest)).hexdigest()


def read_table(path: Path, schema: pl.Schema, rows: int, largest: int = LARGEST_TABLE) -> pl.DataFrame:
    """A Parquet file with these columns, types and number of rows.

    Args:
        path: Of a plain file.
        schema: What it must have: numbers, text, and lists of numbers.
        rows: How many.
        largest: Bytes of the file.

    Raises:
        RecordError: it is something else.
    """
    texts = [name for name, kind in schema.items() if kind == pl.String]
    source = pa.BufferReader(content(path, largest))
    try:
        with parquet.ParquetFile(
            source, read_dictionary=texts, thrift_string_size_limit=16 << 20, thrift_container_size_limit=1 << 20
        ) as file:
            _announced(path.name, file, schema, rows)
            table = file.read(use_threads=False)
        table.validate(full=True)  # lengths, places in dictionaries, UTF-8: what comes next believes them
        _short(path.name, table, texts)
        frame = pl.from_arrow(table.replace_schema_metadata(None))
        assert isinstance(frame, pl.DataFrame)
        empty = [name for name in schema if frame[name].null_count() == frame.height]  # has no type to speak of
        frame = frame.with_columns(pl.lit(None, schema[name]).alias(name) for name in empty)
        frame = frame.with_columns(pl.col(texts).cast(pl.String))
    except (*_UNREADABLE, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"{path.name} is no Parquet file that can be read ({shown(str(error), 100)})") from error
    kinds = frame.schema
    wrong = [f"'{name}' must be {kind}" for name, kind in schema.items() if kinds[name] != kind]
    if wrong or frame.height != rows:
        raise RecordError(f"{path.name}: {', '.join(wrong[:3]) or f'there are {frame.height:,} rows, not {rows:,}'}")
    return frame


def _announced(name: str, file: parquet.ParquetFile, schema: pl.Schema, rows: int) -> None:
    about = file.metadata
    names = file.schema_arrow.names
    if names != list(schema):
        differing = [column for column in schema if column not in names]
        strange = [column for column in names if column not in schema]
        what = f"lacks {differing[:5]}" if differing else f"has {shown(strange)} beside" if strange else "mixes"
        raise RecordError(f"{name} {what} the columns {', '.join(list(schema)[:20])}")
    if about.num_rows != rows:
        raise RecordError(f"{name} has {about.num_rows:,} rows, not the {rows:,} that were announced")
    if about.num_row_groups > 10_000:
        raise RecordError(f"{name} is cut into more than 10,000 row groups")
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    values, unpacked = sum(c.num_values for c in columns), sum(c.total_uncompressed_size for c in columns)
    if min([0, *(c.num_values for c in columns), *(c.total_uncompressed_size for c in columns)]) < 0:
        raise RecordError(f"{name} announces less than nothing")
    if values > MOST_VALUES or unpacked > LARGEST_TABLE:
        raise RecordError(f"{name} unfolds to {values:,} values and {unpacked:,} bytes, which is too much")


def _short(name: str, table: pa.Table, texts: list[str]) -> None:
    """Refuse texts that would unfold to too much, while they are still written once."""
    total = 0
    for column in texts:
        for chunk in table[column].chunks:
            if not pa.types.is_dictionary(chunk.type):
                raise RecordError(f"{name}: '{column}' must be text")
            lengths = pc.binary_length(chunk.dictionary)
            if (pc.max(lengths).as_py() or 0) > LONGEST_TEXT:
                raise RecordError(f"{name}: '{column}' has a text of more than {LONGEST_TEXT:,} bytes")
            total += pc.sum(pc.take(pc.cast(lengths, pa.int64()), chunk.indices)).as_py() or 0
    if total > LARGEST_TABLE:
        raise RecordError(f"{name} unfolds to {total:,} bytes of text, which is too much")
