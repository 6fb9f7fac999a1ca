"""How much memory does a sweep of the size of PACS take, and does it grow with the number of trainings?

    python scripts/measure_memory.py                    # 9,991 images, ResNet-18 at 224 px, 3 x 32 images a step
    python scripts/measure_memory.py --images 560 --pixels 64 --batch 8 --trainings 2

One worker does all trainings, one after the other, from empty folders. Steps are few, as each takes what the one
before took; everything that a training looks at it looks at: validation images, clean and shifted, and a target.
Linux says twice a second, and when a training ends, how large processes are (``/proc/PID/smaps_rollup``). Shown is the
most until each training's end, in GB: ``rss`` counts every page that a process has mapped, and so files of the cache,
which the system takes back when it needs room; ``anonymous`` are pages of no file: what a process needs for itself.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from draw_pacs_like import DOMAINS, evenly

import dgbench
from dgbench.runs.events import Event, TrainingEnds
from speed.setup import Size, prepared

FIELDS = {"Rss": "rss", "Pss": "pss", "Anonymous": "anonymous"}
PATIENCE = 0.5
"""Seconds between two looks: each keeps a core busy for a fiftieth of one."""
Peak = dict[str, float]


class Watch(threading.Thread):
    """Looks at this process and its children, again and again, and keeps the most of each."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.looking = threading.Lock()
        self.peaks: list[dict[str, Peak]] = [{}]

    def run(self) -> None:
        """Until it is over."""
        while not self.over.wait(PATIENCE):
            self.look()

    def look(self) -> None:
        """Once."""
        with self.looking:
            for pid in (os.getpid(), *_children()):
                who = "the program" if pid == os.getpid() else "worker"
                known = self.peaks[-1].setdefault(who, dict.fromkeys(FIELDS.values(), 0.0))
                for name, size in _size(pid).items():
                    known[name] = max(known[name], size)

    def hear(self, event: Event) -> None:
        """A training's end is the end of a row, however short it was."""
        if isinstance(event, TrainingEnds):
            self.look()
            self.peaks.append({})


def _children() -> list[int]:
    """Processes that this one started; another thread may have done so."""
    found = Path("/proc/self/task").glob("*/children")
    return [int(pid) for path in found for pid in path.read_text(encoding="ascii").split()]


def _size(pid: int) -> Peak:
    """In GB; nothing of a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: int(told[field].split()[0]) * 1024 / 1e9 for field, name in FIELDS.items() if field in told}


def main() -> None:
    """Draw the images, run, print a row for each training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, help="as many of each domain; by default as many as PACS has, 9,991")
    parser.add_argument("--pixels", type=int, default=Size.pixels)
    parser.add_argument("--batch", type=int, default=Size.batch, help="images of each source domain in a step")
    parser.add_argument("--trainings", type=int, default=4)
    asked = parser.parse_args()
    counts = DOMAINS if asked.images is None else evenly(asked.images)
    with tempfile.TemporaryDirectory() as folder:
        setup = prepared(Path(folder), replace(Size(), pixels=asked.pixels, batch=asked.batch, steps=3), 1, counts)
        rules = dgbench.rules(setup.board("memory", ("erm",), "float32", checkpoints=1), trials=asked.trainings)
        watch = Watch()
        watch.start()
        dgbench.run(rules, store=setup.folder / "store", workers=1, trackers=[watch.hear])
        watch.over.set()
        watch.join()
    print(f"{sum(counts.values()):,} images, ResNet-18 at {asked.pixels} px, 3 steps of 3 x {setup.size.batch}\n")
    print("| until the end of | who | " + " | ".join(f"{name}, GB" for name in FIELDS.values()) + " |")
    print("| --- | --- |" + " ---: |" * len(FIELDS))
    for number, row in enumerate(watch.peaks[: asked.trainings], 1):
        for who, peak in sorted(row.items()):
            sizes = " | ".join(f"{peak[name]:.2f}" for name in FIELDS.values())
            print(f"| training {number} | {who} | {sizes} |")


if __name__ == "__main__":
    main()
