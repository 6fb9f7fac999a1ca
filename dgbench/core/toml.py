"""Reading TOML files into typed models, whatever stands in them.

Files come from others, with a dataset, a submission or a mail. Unknown keys are refused, as is what no card needs:
files of more than a megabyte, values deeper than ten levels, control characters, dates, numbers that are not finite.
Every error is one line that names the file, the field, what was expected, and the closest known name.
"""

from __future__ import annotations

import logging
import math
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dgbench.core.errors import CardError, did_you_mean, shown
from dgbench.core.names import readable

log = logging.getLogger(__name__)

Model = TypeVar("Model", bound=BaseModel)

LARGEST = 1 << 20
"""Bytes of a file. The largest card that comes with dgbench has a hundredth of that."""
DEEPEST = 10
"""Levels of tables and lists, one in the other."""
LARGEST_NUMBER = 1 << 63
_PROBLEMS = 5
"""So many are said of a file at once."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tabs and line ends, and what stands for bytes that are no UTF-8."""
_ORDINARY = frozenset((dict, list, str, int, float, bool, type(None)))
"""What most content is made of."""
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){40}""")
"""A key of many parts, far too deep. The parser would take time in the square of their number, so it never sees it."""
_MESSAGE = 300
"""Characters of what others say of a problem."""


def read_toml(path: Path, model: type[Model]) -> Model:
    """Read one TOML file into a model.

    A model with a ``name`` is named after its file, or after the folder of its file.

    Raises:
        CardError: the file is missing, is no TOML, or does not fit; the message names the file and each field.
    """
    return fitted(parsed(path), path, model)


def fitted(content: Mapping[str, Any], path: Path, model: type[Model]) -> Model:
    """What :func:`read_toml` gives, of content that :func:`parsed` has read from the file."""
    where = _where(path)
    card = validated(content, model, where)
    name = getattr(card, "name", None)
    stem, folder = (unicodedata.normalize("NFC", part) for part in (path.stem, path.resolve().parent.name))
    if name is not None and name not in (stem, folder):
        board = path.name == "board.toml"
        expected, of = (folder, "folder of the file") if board else (stem, "file")
        raise CardError(f"{where}: name: expected '{expected}', the name of the {of}, got {shown(name)}")
    return card


def validated(content: Mapping[str, Any], model: type[Model], where: str) -> Model:
    """Content that fits a model; raises CardError that names each field that does not."""
    strange = None if _ordinary(content) else next(_strange(content), None)
    if strange is not None:
        raise CardError(f"{where}: {strange}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # What is there and wrong comes before what is missing: a slip of the pen is often the cause of both.
        found = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] == "missing")
        problems = [_explain(problem, model) for problem in found]
        more = f"; and {len(problems) - _PROBLEMS} more" if len(problems) > _PROBLEMS else ""
        raise CardError(f"{where}: {'; '.join(problems[:_PROBLEMS])}{more}") from error


def legible(read: Callable[[str], Model], names: Iterable[str]) -> Iterator[Model]:
    """The cards that can be read; each of the others is named in a warning, and spoils nothing."""
    for name in names:
        try:
            yield read(name)
        except CardError as error:
            log.warning("left out: %s", error)


def _where(path: Path) -> str:
    """The file, as messages name it."""
    return str(path) if str(path).isprintable() else shown(str(path), 200)


def parsed(path: Path) -> dict[str, Any]:
    """The content of a file. What is no plain file, as a pipe that never ends, is not opened.

    Raises:
        CardError: it cannot be read, or is no TOML.
    """
    where = _where(path)
    try:
        if path.exists() and not path.is_file():
            raise CardError(f"{where}: is no file, so no card")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise CardError(f"{where}: cannot be read ({reason})") from error
    if len(content) > LARGEST:
        raise CardError(f"{where}: has more than {LARGEST:,} bytes, and so is no card")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CardError(
            f"{where}: cannot be read: it is not in UTF-8 ({error.reason} at byte {error.start})"
        ) from error
    too_deep = CardError(f"{where}: is deeper than {DEEPEST} levels, which no card is")
    if _LONG_KEY.search(text):
        raise too_deep
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise too_deep from error
    except ValueError as error:  # of TOML, or a number that Python does not read
        raise CardError(f"{where}: not valid TOML: {_line(str(error))}") from error


def _ordinary(content: Mapping[str, Any]) -> bool:
    """Whether there is plainly nothing strange, as in nearly all records; of others :func:`_strange` says what it is.

    A record has up to a million values, so they are looked at level by level, each kind at once.
    """
    level: list[Any] = [content]
    for _ in range(DEEPEST + 1):
        if not _ORDINARY.issuperset(map(type, level)):
            return False
        tables = [value for value in level if type(value) is dict]
        texts = [value for value in level if type(value) is str]
        texts += filter(lambda key: isinstance(key, str), set().union(*tables))
        if _CONTROL.search("".join(texts)):
            return False
        if not all(map(math.isfinite, (value for value in level if type(value) is float))):
            return False
        if any(abs(value) >= LARGEST_NUMBER for value in level if type(value) is int):
            return False
        level = [item for value in level if type(value) is list for item in value]
        level += [item for table in tables for item in table.values()]
    return not level


def _strange(content: Mapping[str, Any]) -> Iterator[str]:
    """What no card holds; without recursion, since depth is what may be wrong."""
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), content)]
    while pending:
        where, value = pending.pop()
        if len(where) > DEEPEST:
            yield f"{_field(where)}: is deeper than {DEEPEST} levels, which no card is"
        elif isinstance(value, str | int | float):
            if problem := _strange_value(value):
                yield f"{_field(where)}: {problem}"
        elif isinstance(value, Mapping):
            for key in value:
                if isinstance(key, str) and _CONTROL.search(key):
                    yield f"{_field((*where, key))}: a key holds no control characters"
            pending += (((*where, key), item) for key, item in reversed(list(value.items())))
        elif isinstance(value, list | tuple):
            pending += (((*where, number), item) for number, item in reversed(list(enumerate(value))))
        elif not isinstance(value, BaseModel | None):  # a model was looked at when it was read
            expected = "text, a number, true or false, a list or a table"
            yield f"{_field(where)}: expected {expected}, got {shown(value)}"


def _strange_value(value: str | float) -> str | None:
    """What is wrong with a value that holds no others."""
    if isinstance(value, str):
        return f"text holds no control characters, got {shown(value)}" if _CONTROL.search(value) else None
    if isinstance(value, float) and not math.isfinite(value):
        return f"expected a finite number, got {value}"
    if isinstance(value, int) and abs(value) >= LARGEST_NUMBER:
        return f"expected a number below 2^63, got {shown(value)}"
    return None


def _field(where: Iterable[str | int]) -> str:
    """The name of a field, as ``domains.3.name``."""
    return ".".join(map(_key, where)) or "card"


def _key(key: str | int) -> str:
    text = str(key)
    return text if text.isprintable() and len(text) < 60 else shown(text)


def _explain(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    where = _field(problem["loc"])
    if problem["type"] == "extra_forbidden":
        owner: Any = model
        for key in problem["loc"][:-1]:
            owner = _field_model(owner, str(key))
        known = owner.model_fields if isinstance(owner, type) and issubclass(owner, BaseModel) else ()
        return f"{where}: unknown field.{did_you_mean(str(problem['loc'][-1]), known)}"
    if problem["type"] == "missing":
        return f"{where}: missing; a card needs it"
    return f"{where}: {_line(problem['msg'].removeprefix('Value error, '))}, got {shown(problem['input'])}"


def _line(message: str) -> str:
    """A message that may quote the file, on one line of bounded length."""
    line = readable(" ".join(message.split()))
    return line if len(line) <= _MESSAGE else f"{line[:_MESSAGE]}..."


def _field_model(owner: Any, key: str) -> Any:
    """The model that describes field ``key`` of ``owner``, looking through containers and optionals."""
    if not (isinstance(owner, type) and issubclass(owner, BaseModel)):
        return owner
    if key not in owner.model_fields:
        return None
    pending = [owner.model_fields[key].annotation]
    while pending:
        kind = pending.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        pending.extend(getattr(kind, "__args__", ()))
    return None
