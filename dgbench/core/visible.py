"""Names as people gave them, shown so that nothing in them acts.

Names come from folders, files, tables and cards, in any script. Some characters do something where they are printed:
they move the cursor, colour a terminal, end a line or turn the direction of reading. They are shown as Python writes
them, ``\\x1b`` or ``\\u202e``. All others stay: letters and marks of every script, joiners, emoji.
"""

from __future__ import annotations

import unicodedata

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Change the direction of what follows."""
_ACTING = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of characters (of names that are no valid UTF-8), ends of lines and paragraphs."""


def visible(text: str) -> str:
    """The text with every character that would act written out; it can always be encoded."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode("ascii") if _acts(c) else c for c in text)


def _acts(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in _ACTING
