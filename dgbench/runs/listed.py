"""Whether a list of a board's runs is one: whoever reads it finds each thing of the type that it should have.

A store may come from others, so a list is looked at as a whole before anything is looked up by it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Required

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic takes the standard library's from 3.12 on

from dgbench.core.cards import Keep
from dgbench.core.judges import KINDS
from dgbench.core.long_json import read_sealed_in_blocks
from dgbench.core.names import LINE
from dgbench.core.seals import read_sealed, recalled
from dgbench.core.spec import ID, Spec
from dgbench.core.visible import visible

INDEX = "dgbench.index/4"
"""Of the list of a board's runs; the number is raised whenever that list says more."""

_Id = Annotated[str, Field(pattern=ID)]
_Line = Annotated[str, Field(pattern=LINE, max_length=10_000)]
_Lines = list[_Line]
_Count = Annotated[int, Field(strict=True, ge=0, lt=1 << 31)]
_Value = _Line | bool | int | FiniteFloat | None
_Settings = dict[_Line, _Value | list[_Value] | dict[_Line, _Value | list[_Value]]]
_By = dict[_Id, dict[Literal["weights", "reference"], _Id]]


class _Recipe(TypedDict, total=False):
    """A part for each slot; which weights stay follows from one of them."""

    sampler: _Settings
    adapter: _Settings
    objective: _Settings
    optimizer: _Settings
    averaging: Required[_Settings]
    predictor: _Settings


class _Candidate(TypedDict):
    """What is said of a candidate, and of what judges it."""

    algorithm: _Line
    target: _Line
    trial: _Count
    draw: _Count
    training: _Id
    run: _Id


class _Entry(_Candidate):
    """As :meth:`dgbench.runs.plan.Entry.row`."""

    hyperparameters: _Recipe
    title: _Line
    track: _Line
    backbone: _Line
    pretrained_on: _Line
    dataset: _Line
    sources: _Lines
    domain: _Line
    families: _Lines
    passes: FiniteFloat
    without_effect: _Line


class _Judge(_Candidate):
    """As :meth:`dgbench.runs.judges.Judge.row`."""

    dataset: _Line
    split: Literal[KINDS]  # type: ignore[valid-type]
    domains: _Lines
    views: _Lines
    averaging: _Settings


class _List(TypedDict):
    """As :func:`dgbench.runs.index.index`."""

    schema: Literal["dgbench.index/4"]
    criterion: _Line
    keep: Keep
    headline: NotRequired[dict[_Line, _Line]]
    average: NotRequired[_Line]
    starts: _By
    reads: NotRequired[dict[_Id, list[_Id]]]
    manifests: dict[_Line, _Line | None]
    cases: _Lines
    entries: list[_Entry]
    judges: NotRequired[list[_Judge]]


class _OlderList(TypedDict):
    """What lists of all versions say."""

    schema: Annotated[str, Field(pattern=r"^dgbench\.index/[0-9]{1,4}$")]
    entries: list[_Candidate]


_TODAY, _OLDER = TypeAdapter(_List), TypeAdapter(_OlderList)
_BLOCKS: dict[str, TypeAdapter[Any]] = {"entries": TypeAdapter(list[_Entry]), "judges": TypeAdapter(list[_Judge])}


def listed(content: Spec) -> Spec:
    """The content of a list, as it is; raises ValueError where a field of it is not what it should be."""
    adapter: TypeAdapter[Any] = _TODAY if content.get("schema") == INDEX else _OLDER
    try:
        adapter.validate_python(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{where[:100]!a}: {problem['msg'][:100]}") from error
    return content


def read_list(path: Path) -> Spec:
    """A list of runs; each process reads and checks a file once, unless it changes. Do not change what is given.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not what was written, or no such list.
    """
    stat = path.stat()
    return _read(path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, *_: int) -> Spec:
    return listed(recalled(path))


def read_in_blocks(path: Path, take: Callable[[str, list[Spec]], None]) -> Spec:
    """A list of this version, checked, with neither entries nor judges: these are given away, some thousand at a time.

    Args:
        path: Of the list.
        take: Is given ``entries`` or ``judges``, and the next of them.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not what was written, or no such list, or one that only :func:`read_list` reads.
    """

    def checked(name: str, block: list[Spec]) -> None:
        _BLOCKS[name].validate_python(block)
        take(name, block)

    rest = read_sealed_in_blocks(path, _BLOCKS, checked)
    _TODAY.validate_python(rest)
    return {name: said for name, said in rest.items() if name not in _BLOCKS}


def index_damage(path: Path) -> str | None:
    """What is wrong with a list of runs."""
    try:
        read_in_blocks(path, lambda name, block: None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return _damage(path)
    return None


def _damage(path: Path) -> str | None:
    """What is wrong with a list of any version, by reading it whole."""
    try:
        listed(read_sealed(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return in_words(path, error)
    return None


def in_words(path: Path, error: Exception) -> str:
    """That a list of runs is damaged."""
    return f"{visible(str(path))} is damaged ({error})"
