"""A board of one's own, and a store that holds drawn results of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Room:
    """Where they lie."""

    board: str
    store: Path
