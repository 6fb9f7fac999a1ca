"""Pages of the documentation that show what a program of ``scripts/`` measured, between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def put(page: Path, lines: Sequence[str]) -> None:
    """Replace what stands between the marks; raises ValueError where the page has not each of them once."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    page.write_text("\n".join([before + BEGIN, "", *lines, "", END + after]), encoding="utf-8")
