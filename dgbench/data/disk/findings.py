"""What a check of a dataset finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: What was looked at.
        verdict: ``problem`` is something to mend before results are believed, ``note`` something to know.
        text: What was found, with examples.
    """

    check: str
    verdict: Verdict
    text: str
