"""A table of text on disk: how it is written, and the values of its columns.

One reading for whoever looks at an unknown table and for whoever reads it by its card: lines of cells (CSV, with any
usual separator and encoding), or lines of JSON objects.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from dgbench.core.errors import DataError
from dgbench.core.files import open_plain
from dgbench.data.disk.naming import some
from dgbench.data.disk.readers.columns import found_columns
from dgbench.data.pixels.suffixes import is_picture

SEPARATORS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
"""What stands between cells, and how it is said."""
JSON_LINES = frozenset({".jsonl", ".ndjson"})
"""How the names of files of JSON objects end."""
SHOWN = 3
"""Wrong rows that a message names."""

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NO_TEXT = {b"PAR1": "a Parquet file", b"PK\x03\x04": "a ZIP archive or an Excel workbook", b"\x1f\x8b": "compressed"}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_SAID = re.compile(r"sep=([,;\t|])\r?\n")
"""The line in which Excel says the separator."""


@dataclass(frozen=True)
class Form:
    """How a table is written."""

    encoding: str = "utf-8"
    separator: str = ","


def form_of(path: Path) -> Form:
    """How a table is written, found out from its bytes.

    A byte order mark says the encoding; without one it is UTF-8, or else Windows-1252, which Latin-1 is part of. The
    separator is the one by which the first line names the most kinds of columns, and falls into the most cells.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    content = _bytes(path)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), None)
    if encoding is None:
        encoding = "utf-8"
        try:
            content.decode()
        except UnicodeDecodeError:
            encoding = "cp1252"
    text = _decoded(content, encoding, path)
    if path.suffix.lower() in JSON_LINES:
        return Form(encoding)
    if said := _SAID.match(text):
        return Form(encoding, said[1])

    def fits(separator: str) -> tuple[int, int]:
        try:
            first = next((cells for _, cells in _records(text, separator, path)), [])
        except DataError:  # quotes do not go with this separator; where they go with none, opening the sheet says so
            return 0, 0
        return len(found_columns(first)), len(first)

    return Form(encoding, max(SEPARATORS, key=fits))


@dataclass(frozen=True)
class Sheet:
    """A table that was opened: the names of its columns are known, its rows are read by :meth:`columns`.

    Attributes:
        path: Where it lies.
        form: How it is written.
        header: The names of its columns, in order, without spaces around them.
        text: All of it.
    """

    path: Path
    form: Form
    header: tuple[str, ...]
    text: str = field(repr=False)

    def columns(self, names: Sequence[str]) -> Columns:
        """The values of some columns.

        Blank lines, and lines of nothing but separators, are no rows. Cells beyond the last column may be there if
        they are empty, and a row may end early if what it lacks is not asked for.

        Raises:
            DataError: there are no rows, a column is there twice, or rows are wrong; the message counts them all.
        """
        for name in names:
            if self.header.count(name) > 1:
                twice = self.header.count(name)
                raise DataError(f"{self.path}: {twice} columns are called '{name}'; rename those that are not meant")
        places = [self.header.index(name) for name in names]
        width, values, lines, faults = len(self.header), [list[str]() for _ in names], list[int](), _Faults()
        for line, cells in self._rows():
            if len(cells) > width and any(cell.strip() for cell in cells[width:]):
                faults.add(line, f"more cells than the {width} columns")
                continue
            lines.append(line)
            for name, place, column in zip(names, places, values, strict=True):
                value = cells[place].strip() if place < len(cells) else ""
                if place >= len(cells):
                    faults.add(line, f"too few cells, none for column '{name}'")
                elif not value or value.lower() == "nan":  # what pandas calls nothing
                    faults.add(line, f"no value in column '{name}'")
                column.append(value)
        if faults:
            raise faults.error(self)
        if not lines:
            raise DataError(f"{self.path}: there are names of columns ({some(self.header)}), and no rows below them")
        return Columns(dict(zip(names, values, strict=True)), lines)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        if self.path.suffix.lower() in JSON_LINES:
            for line, found in _objects(self.text, self.path):
                cells = [_cell(found.get(name)) for name in self.header]
                if any(_CONTROL.search(cell) for cell in cells):  # as \u0007 they are none before they are read
                    raise DataError(f"{self.path}: line {line} holds control characters, which no text has")
                yield line, cells
        else:
            yield from islice(_records(self.text, self.form.separator, self.path), 1, None)


@dataclass(frozen=True)
class Columns:
    """Columns of a table.

    Attributes:
        values: By name, a text for each row.
        lines: The line of the file on which each row begins, from 1.
    """

    values: dict[str, list[str]]
    lines: list[int]


def open_sheet(path: Path, form: Form) -> Sheet:
    """A table of a known form.

    Raises:
        DataError: it cannot be read, is no text of that encoding, or has no names of columns.
    """
    text = _decoded(_bytes(path), form.encoding, path)
    if not text.strip():
        raise DataError(f"{path} is empty; expected a line of column names, and a line for each image")
    if path.suffix.lower() in JSON_LINES:
        names = dict.fromkeys(name for _, found in _objects(text, path) for name in found)
        return Sheet(path, form, tuple(names), text)
    first = next((cells for _, cells in _records(text, form.separator, path)), [])
    header = tuple(cell.strip() for cell in first)
    if any(is_picture(cell) for cell in header):
        raise DataError(
            f"{path}: its first line ({some(header, 4)}) is an image's, and no names of columns; put a line of names, "
            "as 'image,label,domain', above it"
        )
    if sum(map(bool, header)) < 2:
        raise DataError(
            f"{path}: no separator ({', '.join(SEPARATORS.values())}) divides its first line ({some(header, 4)}); "
            "expected the names of columns there, as 'image,label,domain'"
        )
    while not header[-1]:
        header = header[:-1]
    return Sheet(path, form, header, text)


@dataclass
class _Faults:
    """Rows that are wrong, by what is wrong with them."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[int]] = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.counts)

    def add(self, line: int, what: str) -> None:
        self.counts[what] += 1
        self.rows.add(line)
        if self.counts[what] <= SHOWN:
            self.lines.setdefault(what, []).append(line)

    def error(self, sheet: Sheet) -> DataError:
        rows = sum(1 for _ in sheet._rows())
        kinds = "; ".join(f"{what} ({on_lines(self.lines[what], count)})" for what, count in self.counts.most_common())
        return DataError(
            f"{sheet.path}: {len(self.rows)} of {rows} rows {'is' if len(self.rows) == 1 else 'are'} wrong: {kinds}. "
            f"Mend them, or take them out; text that holds {SEPARATORS.get(sheet.form.separator, 'the separator')} "
            "needs quotes around it"
        )


def on_lines(lines: Sequence[int], count: int) -> str:
    """Lines of a file for a message, of which the first few are given."""
    more = f" and {count - len(lines)} more" if count > len(lines) else ""
    return f"line{'s' if count > 1 else ''} {', '.join(map(str, lines))}{more}"


def _bytes(path: Path) -> bytes:
    try:
        with open_plain(path) as file:
            content = file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); is it the file of the card?") from error
    for mark, what in _NO_TEXT.items():
        if content.startswith(mark):
            raise DataError(f"{path} is {what}, and no table of text; save it as CSV, in UTF-8")
    return content


def _decoded(content: bytes, encoding: str, path: Path) -> str:
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        raise DataError(f"{path} is no text in {encoding} ({error}); save it as CSV, in UTF-8") from error
    if odd := _CONTROL.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        raise DataError(
            f"{path}: line {line} holds the control character U+{ord(odd[0]):04X}, which no text has; "
            "save the table as CSV, in UTF-8"
        )
    return text


def _records(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, the first of which is the header, with the lines on which they begin."""
    lines = io.StringIO(text, newline="")
    skipped = 1 if _SAID.match(text) else 0
    for _ in range(skipped):
        lines.readline()
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells) and any(cell.strip() for cell in cells):
                yield line + skipped, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f'{path}: the row that begins on line {line + skipped} cannot be read ({error}); is a quote (") missing, '
            "or one too many?"
        ) from error


def _objects(text: str, path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number} is no JSON ({error}); expected an object on each line") from error
        if not isinstance(found, dict):
            raise DataError(f'{path}: line {number} is no JSON object; expected one on each line, as {{"image": ...}}')
        yield number, found


def _cell(value: object) -> str:
    """A value of a JSON object as text; a nested one is none."""
    if value is None or isinstance(value, list | dict):
        return ""
    return str(value)
