"""Pictures as they lie on disk: files, slices of an array, encoded images in the rows of a table.

All of them travel to worker processes: they hold paths and open them where they are used.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.decoding import AS_LOADERS, Decoding
from dgbench.core.errors import DataError
from dgbench.data.listing import Picture, Pictures
from dgbench.data.pixels import npy
from dgbench.data.pixels.decode import as_rgb, opened
from dgbench.data.samples import digest_of

if TYPE_CHECKING:
    import datasets


def read(pictures: Pictures, row: int, decoding: Decoding = AS_LOADERS) -> Picture:
    """A whole picture as RGB; raises DataError that names one that cannot be decoded."""
    with pictures.open(row) as image:
        return np.array(as_rgb(image, decoding))


@dataclass(frozen=True)
class Files:
    """Image files.

    Attributes:
        root: The dataset's folder.
        names: Paths below it, with ``/``.
    """

    root: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, row: int) -> str:
        """The file's path below the root."""
        return self.names[row]

    def stamp(self, row: int) -> str:
        """Size and time of the file."""
        return stamp(self._path(row))

    def digest(self, row: int) -> bytes:
        """SHA-256 of the file."""
        path = self._path(row)
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise _unreadable(path, error) from error

    @contextmanager
    def open(self, row: int) -> Iterator[Image.Image]:
        """The image, not yet decoded."""
        with opened(self._path(row), str(self._path(row))) as image:
            yield image

    def read(self, row: int, decoding: Decoding = AS_LOADERS) -> Picture:
        """The decoded image."""
        return read(self, row, decoding)

    def _path(self, row: int) -> Path:
        return self.root / self.names[row]


@dataclass(frozen=True)
class Frames:
    """Decoded images, uint8 ``[n, height, width, 3]``: in memory, or part of a ``.npy`` file.

    Attributes:
        source: The array, or the file's path. A file is mapped, in each process that reads it.
        rows: Which of its images, int64 ``[n]``.
        title: What an array in memory is called.
    """

    source: Path | NDArray[np.uint8]
    rows: NDArray[np.int64]
    title: str = "image"

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, row: int) -> str:
        """The file and the row in it."""
        return f"{self.source if isinstance(self.source, Path) else self.title}[{self.rows[row]}]"

    def stamp(self, row: int) -> str:
        """Size and time of the file; for an array in memory a hash of the image."""
        return stamp(self.source) if isinstance(self.source, Path) else self.digest(row).hex()[:16]

    def digest(self, row: int) -> bytes:
        """SHA-256 of the image's shape and values."""
        return digest_of(self.read(row))

    @contextmanager
    def open(self, row: int) -> Iterator[Image.Image]:
        """The image."""
        yield Image.fromarray(self.read(row))

    def read(self, row: int, decoding: Decoding = AS_LOADERS) -> Picture:
        """A copy of the image, which is RGB whatever ``decoding`` says."""
        array = mapped(self.source) if isinstance(self.source, Path) else self.source
        return np.array(array[self.rows[row]])


@dataclass(frozen=True)
class Rows:
    """Encoded images in a column of a Hugging Face dataset, which is a table that is mapped from disk.

    Attributes:
        table: The dataset; its image column is not decoded.
        column: The image column.
        rows: Which of its rows, int64 ``[n]``.
        title: What the table is called.
        version: Changes when the table may have changed.
    """

    table: datasets.Dataset
    column: str
    rows: NDArray[np.int64]
    title: str
    version: str

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, row: int) -> str:
        """The table and the row in it."""
        return f"{self.title}[{self.rows[row]}]"

    def stamp(self, row: int) -> str:
        """The version of the table; with size and time of the file where the table holds only its path."""
        content = self._content(row)
        return f"{self.version} {stamp(content)}" if isinstance(content, Path) else self.version

    def digest(self, row: int) -> bytes:
        """SHA-256 of the encoded image."""
        content = self._content(row)
        if isinstance(content, bytes):
            return hashlib.sha256(content).digest()
        try:
            return hashlib.sha256(content.read_bytes()).digest()
        except OSError as error:
            raise _unreadable(content, error) from error

    @contextmanager
    def open(self, row: int) -> Iterator[Image.Image]:
        """The image, not yet decoded."""
        content = self._content(row)
        with opened(io.BytesIO(content) if isinstance(content, bytes) else content, self.name(row)) as image:
            yield image

    def read(self, row: int, decoding: Decoding = AS_LOADERS) -> Picture:
        """The decoded image."""
        return read(self, row, decoding)

    def _content(self, row: int) -> bytes | Path:
        value: dict[str, Any] | None = self.table[int(self.rows[row])][self.column]
        if value and value["bytes"] is not None:
            return bytes(value["bytes"])
        if value and value["path"]:
            return Path(value["path"])
        raise DataError(f"{self.name(row)} has no image in column '{self.column}'; take the row out of the dataset")


def mapped(path: Path) -> NDArray[np.uint8]:
    """The array of a ``.npy`` file, mapped; a file that changed is mapped anew.

    Raises:
        DataError: it is missing, damaged, or would have to be unpickled.
    """
    return _mapped(path, stamp(path))


@lru_cache(maxsize=128)
def _mapped(path: Path, _stamp: str) -> NDArray[np.uint8]:
    return npy.mapped(path)


def stamp(path: Path) -> str:
    """Size and time of a file; raises DataError where there is none."""
    try:
        about = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return f"{about.st_size}-{about.st_mtime_ns}"


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} cannot be read ({error.strerror or error}); is the disk there, and may you read it?")
