"""Numbers of bytes and of seconds, as people say them."""

from __future__ import annotations

import math
import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kmgt])(i?))?(?:b|bytes)?", re.IGNORECASE)
_MINUTE, _HOUR, _DAY, _YEAR = 60.0, 3600.0, 86400.0, 365.25 * 86400


def in_words(count: int) -> str:
    """A number of bytes: ``1.5 GB``."""
    power = 0 if count < 1000 else min(int(math.log(count, 1000)), 4)
    return f"{count / 1000**power:.{1 if power else 0}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def in_bytes(words: str) -> int:
    """A number of bytes as people write it: ``20GB``, ``1.5 TB``, ``500MiB``, ``1000000``.

    Raises:
        ValueError: it is none.
    """
    found = _SIZE.fullmatch(words.strip())
    if found is None:
        raise ValueError(f"'{words}' is no number of bytes; write it like 20GB or 500MB")
    number, prefix, binary = found.groups()
    power = " kmgt".index(prefix.lower()) if prefix else 0
    return int(float(number) * (1024 if binary else 1000) ** power)


def duration(seconds: float) -> str:
    """Seconds: ``41 s``, ``12 min``, ``3.4 h``, ``3.1 days``, ``5.1 years``."""
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 100 * _MINUTE:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.1f} h"
    return f"{seconds / _DAY:.1f} days" if seconds < _YEAR else f"{seconds / _YEAR:.1f} years"
