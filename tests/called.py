"""Functions for worker processes to call. Fresh ones import this, so it imports little."""

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

from dgbench.core.errors import UnknownNameError
from dgbench.core.memory import keeping_large_blocks
from dgbench.core.stopping import in_steps


def count(upto: int, tell: Callable[[int], None]) -> int:
    for number in range(upto):
        print("noise", flush=True)
        tell(number)
    return upto


def unknown_part(name: str) -> None:
    raise UnknownNameError("part", name, [])


def hold(path: Path) -> None:
    """Leave a file behind only where this cannot clear away."""
    try:
        path.touch()  # whoever sees it may ask before the next line
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


def nothing(device: str, *arguments: object) -> None:
    """Ready."""


def placed(device: str, seconds: float) -> tuple[str, int]:
    """Where this was called: on which device, in which process."""
    time.sleep(seconds)
    return device, os.getpid()


def counted(device: str, upto: int, tell: Callable[[int], None]) -> str:
    for number in range(upto):
        tell(number)
    return device


def raises(device: str, error: Exception) -> None:
    raise error


def ends(device: str) -> None:
    os._exit(3)


def steps_until_asked(device: str, path: Path) -> int:
    """Steps that take a moment each; how many were done is kept where this is asked to stop, and gone on from."""
    done = int(path.read_text()) if path.exists() else 0
    with in_steps() as stop:
        while done < 10_000:
            done += 1
            if path.exists():
                return done
            if done == 3:
                path.with_suffix(".begun").symlink_to(str(os.getpid()))  # at once, with what it says
            time.sleep(0.01)
            if stop():
                path.write_text(str(done))
                break
    return done


def stops_beside(device: str, folder: Path, others: int) -> None:
    """Once this is asked to stop, say so, and end when so many others were asked as well, or after a while in vain."""
    mine = folder / device
    try:
        mine.touch()  # whoever sees it may ask before the next line
        time.sleep(60)
    finally:
        mine.rename(folder / f"{device} asked")
        deadline = time.monotonic() + 10
        while len(list(folder.glob("* asked"))) <= others and time.monotonic() < deadline:
            time.sleep(0.01)
        if time.monotonic() < deadline:
            (folder / f"{device} beside all").touch()


def loses_another() -> None:
    """A job of which another process died than the one that does it."""
    from dgbench.core.processes import WorkerDiedError

    raise WorkerDiedError("a process beside this one was ended by SIGKILL")


def closed_pipe() -> None:
    """Write where nobody reads."""
    reads, writes = os.pipe()
    os.close(reads)
    os.write(writes, b"x")


def notes_itself_and_fails(folder: Path) -> None:
    """Say which process this is, and raise what a missing package raises."""
    (folder / str(os.getpid())).touch()
    raise ImportError("no such package")
