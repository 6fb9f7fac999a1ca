"""Functions for worker processes to call."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

from dgbench.core.errors import UnknownNameError
from dgbench.core.memory import keeping_large_blocks


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


def fresh_pages(megabytes: int, times: int) -> int:
    """How many pages the kernel gave while so much was filled and freed, time after time; the first is not counted."""
    before = 0
    for number in range(times + 1):
        block = b"x" * (megabytes << 20)
        del block
        if number == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def fresh_pages_looking(megabytes: int, times: int) -> int:
    """The same where large blocks are kept."""
    with keeping_large_blocks():
        return fresh_pages(megabytes, times)


def grown(megabytes: int) -> tuple[int, int]:
    """By how many megabytes this process is larger after so much was filled and freed, where large blocks are kept: in
    there, and afterwards."""
    before = _resident()
    with keeping_large_blocks():
        blocks = [b"x" * (8 << 20) for _ in range(megabytes // 8)]
        del blocks
        inside = _resident()
    return inside - before, _resident() - before


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() >> 20
