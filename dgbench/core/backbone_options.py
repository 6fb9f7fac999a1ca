"""What stands in the brackets of a backbone's name: ``size=96, weights='my weights, best.pth'``.

A value goes to the next comma that an option follows, so most need no quotes. In quotes, single or double, everything
stands for itself, a backslash too; the quote itself is written twice. A value is spelt without quotes where that reads
the same, whatever options follow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Literal, get_args

from dgbench.core.errors import DGBenchError, UnknownNameError, did_you_mean, shown

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation of channels in [0, 1]."""
Named = Literal["auto", "imagenet", "clip", "half"]
Normalization = Named | Statistics

MIN_SIZE, MAX_SIZE = 8, 4096

_END = r"\s*(?:,(?=\s*\w+\s*=)|$)"
_OPTION = re.compile(
    rf"""\s*(?P<key>\w+)\s*=\s*
    (?: '(?P<single>(?:[^']|'')*)'{_END} | "(?P<double>(?:[^"]|"")*)"{_END} | (?P<bare>.*?){_END} )""",
    re.DOTALL | re.VERBOSE,
)


def read(text: str, name: str) -> dict[str, Any]:
    """The options in the brackets of a name, by the fields of ``BackboneName``.

    Raises:
        UnknownNameError: there is no such option.
        DGBenchError: an option cannot be read, has no such value or is given twice.
    """
    options: dict[str, Any] = {}
    at = 0
    while text[at:].strip():
        match = _OPTION.match(text, at)
        key, value = (match["key"], _value(match)) if match else ("", "")
        if match is None or not value:
            rest = text[at:].strip()
            raise DGBenchError(f"backbone {shown(name)}: cannot read {shown(rest)}, expected option=value")
        at = match.end()
        if key not in _READERS:
            raise UnknownNameError("option of a backbone", key, _READERS)
        if key in options:
            raise DGBenchError(f"backbone {shown(name)}: the option '{key}' is given twice")
        try:
            options[key] = _READERS[key](value)
        except ValueError as error:
            raise DGBenchError(f"backbone {shown(name)}: {key}: {error}") from error
    return options


def _value(match: re.Match[str]) -> str:
    if match["single"] is not None:
        return match["single"].replace("''", "'")
    if match["double"] is not None:
        return match["double"].replace('""', '"')
    return match["bare"].strip()


def spelt(value: int | str | Statistics) -> str:
    """A value as it is written in a name."""
    if isinstance(value, tuple):
        return "/".join(" ".join(map(repr, channels)) for channels in value)
    text = str(value)
    match = _OPTION.match(f"x={text}, y=0")
    # A quote that opens a bare value may find its end in an option that follows.
    if match is not None and match["bare"] == text and not text.startswith(("'", '"')):
        return text
    quote = '"' if "'" in text else "'"
    return quote + text.replace(quote, 2 * quote) + quote


def _side(value: str) -> int:
    if not value.isdecimal() or not MIN_SIZE <= int(value) <= MAX_SIZE:
        raise ValueError(f"expected a number of pixels from {MIN_SIZE} to {MAX_SIZE}, got {shown(value)}")
    return int(value)


def _normalization(value: str) -> Named | Statistics:
    known = get_args(Named)
    if value in known:
        return value  # type: ignore[return-value]
    mean, slash, std = value.partition("/")
    if not slash:
        raise ValueError(
            f"expected one of {', '.join(known)}, got {shown(value)}.{did_you_mean(value, known)} Or mean and standard "
            "deviation of each channel, as 0.7 0.5 0.7/0.2 0.3 0.2"
        )
    return statistics(_numbers(mean), _numbers(std))


def statistics(mean: object, std: object) -> Statistics:
    """Mean and standard deviation as statistics.

    Raises:
        ValueError: they are none.
    """
    means, deviations = _three(mean), _three(std)
    if (
        means is None
        or deviations is None
        or not all(0 <= m <= 1 for m in means)
        or not all(0 < s <= 1 for s in deviations)
    ):
        raise ValueError(
            "expected a mean in [0, 1] and a standard deviation in (0, 1] for each of three channels, got "
            f"{shown(mean)} and {shown(std)}"
        )
    return means, deviations


def _three(numbers: object) -> tuple[float, float, float] | None:
    if not isinstance(numbers, list | tuple) or len(numbers) != 3:
        return None
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
        return None
    red, green, blue = map(float, numbers)
    return red, green, blue


def _numbers(text: str) -> list[float]:
    numbers = [float(word) for word in re.split(r"[\s,]+", text.strip()[:200])]
    return 3 * numbers if len(numbers) == 1 else numbers


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"'{value}' is no regular expression ({error})") from error
    return value


def _switch(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError(f"expected true or false, got '{value}'")
    return value == "true"


def _place(value: str) -> str:
    return value.rstrip(".") or "."


_READERS: dict[str, Callable[[str], Any]] = {
    "size": _side,
    "normalize": _normalization,
    "freeze": _pattern,
    "checkpointing": _switch,
    "weights": str,
    "under": _place,
    "pretrained_on": str,
}
