"""What takes long to make and nobody changes: made once in a session, by whichever of its processes asks first."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path


def once(name: str, make: Callable[[Path], object]) -> Path:
    """A folder in the session's home, with what was made there.

    Args:
        name: Of the folder.
        make: Is given the folder, which is not there yet.
    """
    place = Path.home() / "once" / name
    place.parent.mkdir(exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            try:
                make(place)
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
    return place
