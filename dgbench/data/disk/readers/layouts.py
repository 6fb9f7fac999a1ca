"""How folders of images are nested: the patterns of a card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dgbench.core.errors import CardError, did_you_mean
from dgbench.core.names import readable

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
            CardError: there is a placeholder that nobody knows, or one twice, or none for the class.
        """
        if "{class}" not in text:
            raise CardError(f"layout '{text}': nothing in it names the class; put '{{class}}' where it stands")
        text = readable(text)
        for place in _PLACES:
            if text.count(f"{{{place}}}") > 1:
                raise CardError(f"layout '{text}': '{{{place}}}' stands in it twice; one of them is '*'")
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
        *folders, file = readable(path).split("/")
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


def domain_text(known: Meanings) -> str | None:
    """The domain that a path names; None where it is not known (yet)."""
    if "corruption" in known:
        return f"{known['corruption']}-{known['severity']}" if "severity" in known else None
    return known.get("domain")


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
