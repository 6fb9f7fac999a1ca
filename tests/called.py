"""Functions for worker processes to call."""

import time
from collections.abc import Callable
from pathlib import Path

from dgbench.core.errors import UnknownNameError


def count(upto: int, tell: Callable[[int], None]) -> int:
    for number in range(upto):
        print("noise", flush=True)
        tell(number)
    return upto


def unknown_part(name: str) -> None:
    raise UnknownNameError("part", name, [])


def hold(path: Path) -> None:
    """Leave a file behind only where this cannot clear away."""
    path.touch()
    try:
        time.sleep(60)
    finally:
        path.unlink()
