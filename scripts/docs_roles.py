"""Docstrings as the documentation shows them, for mkdocstrings (``extensions`` in mkdocs.yml).

Names in roles, as in :func:`dgbench.run`, become links where they are public. Several names before one colon become
entries of their own.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

import dgbench

_ROLE = re.compile(r":(?:func|class|meth|data|mod|attr):`~?([\w.]+)`")
_SEVERAL = re.compile(r"^( +)(\*{0,2}\w+(?:, \*{0,2}\w+)+): (.*(?:\n\1 +\S.*)*)$", re.MULTILINE)


class Roles(griffe.Extension):
    """Changes the text of docstrings before they are read."""

    def on_instance(self, *, node: Any, obj: griffe.Object, **kwargs: Any) -> None:
        """Change that of one function, class, attribute or module."""
        if obj.docstring is not None:
            obj.docstring.value = _SEVERAL.sub(_apart, _ROLE.sub(_linked, obj.docstring.value))


def _linked(match: re.Match[str]) -> str:
    """A link to what is public, else the name as code."""
    name = match[1].removeprefix("dgbench.")
    public = name.partition(".")[0] in dgbench.__all__
    return f"[`{name}`][dgbench.{name}]" if public else f"`{match[1]}`"


def _apart(match: re.Match[str]) -> str:
    """An entry for each name."""
    return "\n".join(f"{match[1]}{name}: {match[3]}" for name in match[2].split(", "))
