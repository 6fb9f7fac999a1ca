"""How folders of images are nested: the patterns of a card, and walking a disk by them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dgbench.core.errors import CardError, DataError, did_you_mean

Meanings = Mapping[str, str]
"""What the placeholders of a layout stand for in one path."""

_PLACES = ("domain", "class", "split", "corruption", "severity")


@dataclass(frozen=True)
class Layout:
    """A pattern of paths below the root.

    Each level names one folder: literal text, ``*`` (anything), and ``{domain}``, ``{class}``, ``{split}``, or
    ``{corruption}`` and ``{severity}``, which together name the domain ``corruption-severity``. Images lie directly in
    the last folder; where the last level ends with ``.*`` it is the name of the images themselves.
    """

    text: str
    folders: tuple[re.Pattern[str], ...]
    file: re.Pattern[str] | None

    @staticmethod
    def parse(text: str) -> Layout:
        """From a card.

        Raises:
            CardError: there is a placeholder that nobody knows, or none for the class.
        """
        if "{class}" not in text:
            raise CardError(f"layout '{text}': nothing in it names the class; put '{{class}}' where it stands")
        levels = text.strip("/").split("/")
        patterns = [re.compile(_expression(level.removesuffix(".*"), text), re.IGNORECASE) for level in levels]
        if levels[-1].endswith(".*"):
            return Layout(text, tuple(patterns[:-1]), patterns[-1])
        return Layout(text, tuple(patterns), None)

    @property
    def base(self) -> str:
        """The folders before the first placeholder, as ``images/``."""
        return re.split(r"[^/]*[{*]", self.text, maxsplit=1)[0]

    @property
    def names_domain(self) -> bool:
        """Whether a path says which domain it is of."""
        return "{domain}" in self.text or ("{corruption}" in self.text and "{severity}" in self.text)

    def match(self, path: str) -> Meanings | None:
        """What the placeholders stand for in the path of an image; None where it does not fit."""
        *folders, file = path.split("/")
        if len(folders) != len(self.folders):
            return None
        pairs = list(zip(self.folders, folders, strict=True))
        if self.file:
            pairs.append((self.file, file.rpartition(".")[0]))
        found: dict[str, str] = {}
        for pattern, name in pairs:
            match = pattern.fullmatch(name)
            if not match:
                return None
            found |= match.groupdict()
        return found

    def walk(self, root: Path, enter: Callable[[Meanings], bool]) -> Iterator[tuple[str, Meanings]]:
        """The folders in which images lie, as paths below ``root`` that end with ``/`` or are empty, sorted.

        Args:
            root: The dataset's folder.
            enter: Whether to go on, given what is known so far.
        """

        def below(folder: str, level: int, known: Meanings) -> Iterator[tuple[str, Meanings]]:
            if level == len(self.folders):
                yield folder, known
                return
            for name in entries(root / folder, folders=True):
                match = self.folders[level].fullmatch(name)
                if match:
                    now = {**known, **match.groupdict()}
                    if enter(now):
                        yield from below(f"{folder}{name}/", level + 1, now)

        yield from below("", 0, {})


def domain_text(known: Meanings) -> str | None:
    """The domain that a path names; None where it is not known (yet)."""
    if "corruption" in known:
        return f"{known['corruption']}-{known['severity']}" if "severity" in known else None
    return known.get("domain")


def entries(folder: Path, *, folders: bool) -> list[str]:
    """The names of the folders, or of the files, in a folder, sorted; hidden ones are passed over.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(e.name for e in found if not e.name.startswith(".") and e.is_dir() == folders)
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); may you read it?") from error


def _expression(level: str, layout: str) -> str:
    """A level of a layout as a regular expression."""

    def piece(text: str) -> str:
        if text == "*":
            return ".*"
        if not text.startswith("{"):
            return re.escape(text)
        if text[1:-1] not in _PLACES:
            raise CardError(f"layout '{layout}': '{text}' is no placeholder.{did_you_mean(text[1:-1], _PLACES)}")
        return f"(?P<{text[1:-1]}>.+)"

    return "".join(piece(text) for text in re.split(r"(\{[^}]*\}|\*)", level))
