"""What finished work says of itself, of the types that it should have: a file may be whole and say something else.

Seals show what changed since it was written; a store of others is sealed by others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NotRequired

import polars as pl
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic takes the standard library's from 3.12 on

from dgbench.core.errors import DamagedError, StoreError, shown
from dgbench.core.files import read_json
from dgbench.core.names import LINE
from dgbench.core.seals import DONE, Files, checked
from dgbench.core.spec import Spec

_Line = Annotated[str, Field(pattern=LINE, max_length=1000)]
_Count = Annotated[int, Field(strict=True, ge=0, lt=1 << 63)]
_Number = Annotated[float, Field(strict=True)]


class _Note(TypedDict):
    seconds: _Number
    device: _Line
    torch: _Line
    dgbench: _Line
    images: NotRequired[_Count | None]
    memory_bytes: NotRequired[_Count | None]
    peak_bytes: NotRequired[_Count | None]
    ended: NotRequired[_Count | None]


class _Row(TypedDict):
    step: _Count
    split: _Line
    domain: _Line
    view: _Line
    accuracy: _Number
    nll: _Number | None
    n: _Count
    digest: _Line


class _Result(TypedDict):
    metrics: list[_Row]


_NOTE, _RESULT = TypeAdapter(_Note), TypeAdapter(_Result)
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def note_of(folder: Path, seal: Spec) -> tuple[float, str, str, str]:
    """Of the seal of finished work ``seconds, device, torch, dgbench``.

    Raises:
        DamagedError: it does not say them.
    """
    _held(folder, DONE, _NOTE, seal)
    return seal["seconds"], seal["device"], seal["torch"], seal["dgbench"]


def rows_of(folder: Path, files: Files) -> list[dict[str, Any]]:
    """What a finished run measured, by its ``result.json``.

    Raises:
        DamagedError: that is not what was written, or does not say it.
    """
    try:
        content = read_json(checked(folder, "result.json", files))
    except (OSError, ValueError) as error:
        raise DamagedError(folder, "result.json", f"is damaged ({error})") from error
    _held(folder, "result.json", _RESULT, content)
    rows: list[dict[str, Any]] = content["metrics"]
    return rows


def _held(folder: Path, file: str, adapter: TypeAdapter[Any], content: Any) -> None:
    try:
        adapter.validate_python(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = shown(".".join(map(str, problem["loc"])))
        raise DamagedError(folder, file, f"is damaged ({where}: {problem['msg'][:100]})") from error


@contextmanager
def unfolding(what: object) -> Iterator[None]:
    """Inside, tables of finished work are read.

    Raises:
        StoreError: one of them is no table, or not one with such columns.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise StoreError(f"a table in {what} cannot be read ({shown(str(error), 100)}); take it away") from error
