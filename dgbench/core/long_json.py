"""Sealed JSON with long lists, some thousand items of them at a time: a list of 140 MB takes gigabytes as objects.

What :func:`dgbench.core.seals.write_sealed` wrote has its names in order, so its digest is computed on the way.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from dgbench.core.files import open_plain
from dgbench.core.spec import Spec, canonical

AT_ONCE = 2048
"""Items at a time."""
_DIGEST = "sha256"
_SPACE = re.compile(r"[ \t\n\r]*")
_decoded = json.JSONDecoder().raw_decode


class _Text:
    """JSON, and how far it is read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def next(self) -> str:
        """The next sign that is no space; nothing at the end."""
        if (space := _SPACE.match(self._text, self._place)) is not None:
            self._place = space.end()
        return self._text[self._place : self._place + 1]

    def take(self, *signs: str) -> str:
        """The next sign, which is one of these."""
        if (found := self.next()) not in signs:
            raise ValueError(f"no {' or '.join(signs)} at character {self._place}")
        self._place += 1
        return found

    def value(self) -> Any:
        """The next value."""
        self.next()
        try:
            found, self._place = _decoded(self._text, self._place)
        except RecursionError as error:
            raise ValueError("it is far too deep") from error
        return found

    def blocks(self) -> Iterator[list[Any]]:
        """The items of the next value, a list, :data:`AT_ONCE` at most at a time."""
        sign, block = self.take("["), []
        if self.next() == "]":
            sign = self.take("]")
        while sign != "]":
            block.append(self.value())
            sign = self.take(",", "]")
            if len(block) == AT_ONCE or sign == "]":
                yield block
                block = []


def read_sealed_in_blocks(path: Path, lists: Collection[str], take: Callable[[str, list[Any]], None]) -> Spec:
    """As :func:`dgbench.core.seals.read_sealed`, with nothing in its long lists; that is given away on the way.

    Args:
        path: The file.
        lists: The names of long lists.
        take: Is given such a name and the next items. Whether they are what was written is known at the end.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not what was written, or as nobody here writes it: whoever reads it whole says which.
    """
    with open_plain(path) as file:
        text = _Text(file.read().decode())
    content: Spec = {}
    digest, comma, sign = hashlib.sha256(b"{"), "", text.take("{")
    while sign != "}":
        name = text.value()
        if not isinstance(name, str) or (content and name <= next(reversed(content))):
            raise ValueError("its names are not in order")
        text.take(":")
        if name in lists and text.next() == "[":
            content[name] = []
            digest.update(f"{comma}{canonical(name)}:[".encode())
            for number, block in enumerate(text.blocks()):
                digest.update(("," * (number > 0) + canonical(block)[1:-1]).encode())
                take(name, block)
            digest.update(b"]")
        else:
            content[name] = text.value()
            if name != _DIGEST:
                digest.update((comma + canonical({name: content[name]})[1:-1]).encode())
        comma = comma if name == _DIGEST else ","
        sign = text.take(",", "}")
    digest.update(b"}")
    if text.next() or content.pop(_DIGEST, None) != digest.hexdigest():
        raise ValueError("its content is not what was written")
    return content
