"""Names: what people call datasets, domains and classes, in any script, and the safe names of files that follow.

A name is text in Unicode's composed form (NFC): what looks the same is the same. It is kept as it is. Where a disk says
something that cannot stand in a line of text (bytes that are no UTF-8, control characters) an escape stands for it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, changes of the direction of writing, and bytes that could not be decoded."""
LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
"""A line without them, as a pattern; pydantic takes no text with bytes that could not be decoded."""
_PLAIN = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?")
"""What every file system takes, and tells apart."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10))}
"""Names of devices on Windows, also before a dot."""
_LONGEST = 80
"""Of a dataset's name, in bytes: files are called after it, and have endings of their own."""


def readable(text: str) -> str:
    """Text as a name: composed, on one line. Bytes that are no UTF-8 become ``\\xe9``, controls ``\\u0007``.

    Nothing else changes, and names do not change at all.
    """
    return unicodedata.normalize("NFC", _UNPRINTABLE.sub(_escape, text))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def file_name(name: str) -> str:
    """A file name for a name: other ones for other names, also where case does not count, and on any file system.

    It is the name itself where that is plain, else what is plain of it and a hash, parted by ``+``.
    """
    if _PLAIN.fullmatch(name) and name.partition(".")[0] not in _RESERVED:
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower())[:32].strip("-")
    return f"{plain}+{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def in_short(names: Sequence[str], at_most: int = 20) -> str:
    """Names in a line: all of them, or where they are many the first, and how many there are."""
    if len(names) <= at_most:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and others, {len(names):,} in all"


def made_name(text: str) -> str:
    """The name of a dataset that is made from some text, ``my-photos`` from ``My Photos``; empty if there is none."""
    lower = unicodedata.normalize("NFC", readable(text).lower())
    words = "".join(letter if _is_word(letter) else " " for letter in lower).split()
    name = "-".join(words).encode()[:_LONGEST].decode(errors="ignore").strip("-")
    return f"{name}-data" if name in _RESERVED else name


def _is_word(letter: str) -> bool:
    """Letters, the marks that belong to them, and digits."""
    return unicodedata.category(letter)[0] in "LMN"


def _dataset_name(text: str) -> str:
    name = unicodedata.normalize("NFC", text)
    words = re.split("[-_]", name)
    if not all(word and all(map(_is_word, word)) for word in words) or name != name.lower():
        raise ValueError("a dataset's name is made of lower-case letters and digits, in words joined by '-' or '_'")
    if len(name.encode()) > _LONGEST:
        raise ValueError(f"a dataset's name takes at most {_LONGEST} bytes")
    if name in _RESERVED:
        raise ValueError("files of this name cannot be on Windows")
    return name


def _text(text: str) -> str:
    if not text or _UNPRINTABLE.search(text):
        raise ValueError("a name is one line of text, without control characters")
    return unicodedata.normalize("NFC", text)


DatasetName = Annotated[str, AfterValidator(_dataset_name)]
"""Letters and digits of any script, since its card is a file of this name, and commands take it as a word."""
Text = Annotated[str, AfterValidator(_text)]
"""The name of a domain or a class: any line of text. Files are never called so, but by ``file_name``."""
