"""What a person sees while a plan is carried out: bars in a terminal, a line now and then in a log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from dgbench.runs.jobs import Stage

SETTLED = 0.02
"""Share of a stage after which it is known how long the rest of it takes."""


class Progress(Protocol):
    """Is told what happens to a plan.

    The stages of the work are ``views`` (validation images under shifts) and ``features`` (of frozen backbones), both
    in images, and ``trainings`` and ``runs``.
    """

    def reading(self, dataset: str, done: int, total: int) -> None:
        """So many of a dataset's pictures were built, looked at or decoded."""

    def start(self, todo: Mapping[Stage, int]) -> None:
        """So much is to be done in each stage."""

    def running(self, jobs: int) -> None:
        """So many jobs are being worked on."""

    def advance(self, stage: Stage, amount: float, seconds: float | None) -> None:
        """So much more is done, a training by shares of one; less, where that has to be done again.

        ``seconds`` is what it took one worker; None where it was there, or does not tell of the pace.
        """

    def fail(self, stage: Stage, amount: int) -> None:
        """So much cannot be done."""

    def stop(self) -> None:
        """Nothing is left."""


class Silent:
    """Says nothing."""

    def reading(self, dataset: str, done: int, total: int) -> None:
        """Nothing."""

    def start(self, todo: Mapping[Stage, int]) -> None:
        """Nothing."""

    def running(self, jobs: int) -> None:
        """Nothing."""

    def advance(self, stage: Stage, amount: float, seconds: float | None) -> None:
        """Nothing."""

    def fail(self, stage: Stage, amount: int) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


class Outlook:
    """What is done, what failed, and how long the rest takes at the pace of each stage so far."""

    def __init__(self, todo: Mapping[Stage, int]) -> None:
        self.todo = dict(todo)
        self.done = dict.fromkeys(todo, 0.0)
        self.failed = dict.fromkeys(todo, 0)
        self._timed = dict.fromkeys(todo, 0.0)
        self._seconds = dict.fromkeys(todo, 0.0)
        self.workers = 1

    def advance(self, stage: Stage, amount: float, seconds: float | None) -> None:
        """As :class:`Progress` is told."""
        self.done[stage] += amount
        if seconds is not None:
            self._timed[stage] += amount
            self._seconds[stage] += seconds

    def left(self, stage: Stage) -> float:
        """What is to come."""
        return max(0.0, self.todo[stage] - self.done[stage] - self.failed[stage])

    def counts(self, stage: Stage) -> tuple[int, int]:
        """What is done, in whole pieces, and what there is."""
        return math.floor(self.done[stage] + 1e-6), self.todo[stage]

    def over(self) -> bool:
        """Whether nothing is to come."""
        return all(self.left(stage) < 1e-6 for stage in self.todo)

    def remaining(self) -> float | None:
        """Seconds to go; None while a stage that is not over has hardly begun."""
        seconds = 0.0
        for stage in self.todo:
            if self.left(stage) < 1e-6:
                continue
            if self._timed[stage] < SETTLED * self.todo[stage]:
                return None
            seconds += self.left(stage) * self._seconds[stage] / self._timed[stage]
        return seconds / max(1, self.workers)


class Terminal:
    """A bar for each stage, done against all, with the number at work and the time that remains."""

    def __init__(self, console: Console) -> None:
        self.bars = Bars(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=32),
            TextColumn("{task.fields[count]:>13}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
        )
        self.read: dict[tuple[str, int], TaskID] = {}
        self.stages: dict[Stage, TaskID] = {}
        self.outlook = Outlook({})
        self.at_work = ""

    def reading(self, dataset: str, done: int, total: int) -> None:
        """Show a bar for the dataset while it is read."""
        key = (dataset, total)
        if key not in self.read:
            self.read[key] = self.bars.add_task(dataset, total=total, note="pictures", count="")
            self.bars.start()
        self.bars.update(self.read[key], completed=done, visible=done < total, count=f"{done:,}/{total:,}")

    def start(self, todo: Mapping[Stage, int]) -> None:
        """Show the bars."""
        self.outlook = Outlook(todo)
        self.stages = {
            stage: self.bars.add_task(stage, total=total, note="", count="") for stage, total in todo.items()
        }
        self._show()
        self.bars.start()

    def running(self, jobs: int) -> None:
        """Show how many are at work."""
        self.outlook.workers = max(self.outlook.workers, jobs)
        self.at_work = f"{jobs} at work"
        self._show()

    def advance(self, stage: Stage, amount: float, seconds: float | None) -> None:
        """Move a bar."""
        self.outlook.advance(stage, amount, seconds)
        self._show()

    def fail(self, stage: Stage, amount: int) -> None:
        """Count it apart."""
        self.outlook.failed[stage] += amount
        self._show()

    def _show(self) -> None:
        for number, (stage, bar) in enumerate(self.stages.items()):
            done, total = self.outlook.counts(stage)
            failed = self.outlook.failed[stage]
            notes = [f"{failed:,} failed"] if failed else []
            if number == len(self.stages) - 1:
                remaining = self.outlook.remaining()
                notes += [self.at_work] if self.at_work else []
                notes += [f"about {_clock(remaining)} to go"] if remaining is not None else []
            self.bars.update(
                bar, completed=self.outlook.done[stage], count=f"{done:,}/{total:,}", note=", ".join(notes)
            )

    def stop(self) -> None:
        """Leave the bars as they are."""
        self.bars.stop()


class Log:
    """A line at most every few seconds: done, failed, at work, time that remains."""

    def __init__(self, stream: TextIO, every: float = 10.0) -> None:
        self.stream = stream
        self.every = every
        self.read: set[str] = set()
        self.outlook = Outlook({})
        self.at_work = 0

    def reading(self, dataset: str, done: int, total: int) -> None:
        """Say once that a dataset is being read."""
        if dataset not in self.read:
            self.read.add(dataset)
            self._say(f"reading {total:,} pictures of {dataset}")

    def start(self, todo: Mapping[Stage, int]) -> None:
        """Say what is to be done."""
        self.outlook = Outlook(todo)
        self.started = self.said = time.monotonic()
        if todo:
            self._say(f"to do: {', '.join(_amount(stage, total) for stage, total in todo.items())}")

    def running(self, jobs: int) -> None:
        """Note how many are at work."""
        self.at_work = jobs
        self.outlook.workers = max(self.outlook.workers, jobs)

    def advance(self, stage: Stage, amount: float, seconds: float | None) -> None:
        """Say how far it is, if some time has passed since the last line."""
        self.outlook.advance(stage, amount, seconds)
        self._report()

    def fail(self, stage: Stage, amount: int) -> None:
        """Count it apart."""
        self.outlook.failed[stage] += amount
        self._report()

    def _report(self) -> None:
        now = time.monotonic()
        if now - self.said < self.every and not self.outlook.over():
            return
        self.said, remaining = now, self.outlook.remaining()
        said = []
        for stage in self.outlook.todo:
            done, total = self.outlook.counts(stage)
            failed = self.outlook.failed[stage]
            said.append(f"{stage} {done:,}/{total:,}{f' ({failed:,} failed)' if failed else ''}")
        if not self.outlook.over():
            said.append(f"{self.at_work} at work")
            said += [] if remaining is None else [f"about {_clock(remaining)} to go"]
        self._say(f"[{_clock(now - self.started)}] {', '.join(said)}")

    def _say(self, line: str) -> None:
        print(line, file=self.stream, flush=True)

    def stop(self) -> None:
        """Say nothing more."""


def for_people(stream: TextIO = sys.stderr) -> Progress:
    """Bars in a terminal, lines elsewhere."""
    return Terminal(Console(file=stream)) if stream.isatty() else Log(stream)


def _amount(stage: Stage, total: int) -> str:
    what = {"views": "shifted images", "features": "features of images"}.get(stage, stage)
    return f"{total:,} {what}"


def _clock(seconds: float) -> str:
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours}:{minutes:02d}:{int(seconds) % 60:02d}" if hours else f"{minutes}:{int(seconds) % 60:02d}"
