"""What a process of a sweep carries in ``chaos.py``: it notes what becomes of pieces, and may end its process.

It is installed by ``sitecustomize`` before anything else runs, and imports nothing of dgbench.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOUR = 3600.0
CHAOS = "DGBENCH_CHAOS"
"""Names the folder of what is noted; set in processes that carry the hook."""
DEADLY = (3, 400)
"""A worker that is to die does so after so many file operations in the store, at least and at most: while it begins,
trains, predicts, or is at its second or third piece."""
PIECES = {"trainings", "runs", "features"}
"""Folders of pieces in a store."""


class Hook:
    """What a process of a sweep carries."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes
        self.store = (notes / "store").read_text()
        number = next(n for n in range(10**6) if _made(notes / "processes" / str(n)))
        draw = random.Random(f"{(notes / 'seed').read_text()}-{number}")
        self.skew = draw.choice((0.0, 0.0, -HOUR, HOUR, draw.uniform(-HOUR, HOUR)))
        self.left = draw.randint(*DEADLY) if "dgbench.core.worker" in " ".join(sys.orig_argv) else -1
        self.delay = draw.choice((0.0, draw.uniform(0.0, 0.05)))

    def install(self) -> None:
        """Skew clocks, note renames, and count what happens to files of the store."""
        now, now_ns = time.time, time.time_ns
        time.time = lambda: now() + self.skew
        time.time_ns = lambda: now_ns() + int(self.skew * 1e9)
        os.replace, os.rename = self._noting(os.replace), self._noting(os.rename)
        if self.left > 0:
            sys.addaudithook(self._see)

    def say(self, what: str, **more: Any) -> None:
        """A line of the log, written at once."""
        log(self.notes, what, pid=os.getpid(), **more)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.partition(".")[0] not in ("open", "os", "shutil") or self.store not in str(arguments[:1]):
            return
        self.left -= 1
        if self.left == 0 and not (self.notes / "enough").exists():
            threading.Timer(self.delay, self._die, (event, str(arguments[0]))).start()

    def _die(self, event: str, path: str) -> None:
        self.say("killed", event=event, path=path.replace(self.store, ""))
        os.kill(os.getpid(), signal.SIGKILL)

    def _noting(self, rename: Callable[..., None]) -> Callable[..., None]:
        def noted(source: Any, target: Any, **options: Any) -> None:
            rename(source, target, **options)
            old, new = Path(os.fspath(source)), Path(os.fspath(target))
            if new.name == "done.json" and new.parent.parent.name in PIECES:
                try:
                    note = json.loads(new.read_text())
                except (OSError, ValueError):  # it was damaged just now
                    return
                files = sorted(note.pop("files", {}))
                note.pop("sha256", None)
                self.say("sealed", piece=new.parent.name, kind=new.parent.parent.name, files=files, note=note)
            elif new.parent.name == "damaged":
                self.say("aside", piece=old.name, kind=old.parent.name)

        return noted


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def log(notes: Path, what: str, **more: Any) -> None:
    """Append a line to the log, whole, whoever else does so at the same time."""
    line = json.dumps({"what": what, **more}) + "\n"
    handle = os.open(notes / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)


def haunt() -> None:
    """Called as a process of a sweep starts."""
    Hook(Path(os.environ[CHAOS])).install()
