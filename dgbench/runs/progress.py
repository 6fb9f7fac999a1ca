"""What a person sees while a plan is carried out: bars in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from dgbench.runs.launch import Unit


SETTLED = 0.05
"""Share of the work after which the log dares to say how long the rest takes."""


class Progress(Protocol):
    """Is told what happens to a plan."""

    def reading(self, dataset: str, done: int, total: int) -> None:
        """So many of a dataset's pictures were looked at or decoded."""

    def start(self, trainings: int, runs: int) -> None:
        """So many trainings and runs are to be done."""

    def running(self, units: int) -> None:
        """So many units are being worked on."""

    def advance(self, trainings: int, runs: int, unit: Unit) -> None:
        """So many more are done, the last by this unit."""

    def stop(self) -> None:
        """Nothing is left."""


class Silent:
    """Says nothing."""

    def reading(self, dataset: str, done: int, total: int) -> None:
        """Nothing."""

    def start(self, trainings: int, runs: int) -> None:
        """Nothing."""

    def running(self, units: int) -> None:
        """Nothing."""

    def advance(self, trainings: int, runs: int, unit: Unit) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


class Terminal:
    """Two bars, done against all, with the number at work and the time that remains."""

    def __init__(self, console: Console) -> None:
        self.bars = Bars(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]:<12}", style="dim"),
            TimeElapsedColumn(),
            TextColumn("elapsed,"),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("to go"),
            console=console,
        )
        self.read: dict[tuple[str, int], TaskID] = {}

    def reading(self, dataset: str, done: int, total: int) -> None:
        """Show a bar for the dataset while it is read."""
        key = (dataset, total)
        if key not in self.read:
            self.read[key] = self.bars.add_task(dataset, total=total, note="pictures")
            self.bars.start()
        self.bars.update(self.read[key], completed=done, visible=done < total)

    def start(self, trainings: int, runs: int) -> None:
        """Show the bars."""
        self.trainings = self.bars.add_task("trainings", total=trainings, note="", visible=trainings > 0)
        self.runs = self.bars.add_task("runs", total=runs, note="", visible=runs > 0)
        self.bars.start()

    def running(self, units: int) -> None:
        """Show how many are at work."""
        self.bars.update(self.trainings, note=f"{units} at work")

    def advance(self, trainings: int, runs: int, unit: Unit) -> None:
        """Move the bars."""
        self.bars.advance(self.trainings, trainings)
        self.bars.advance(self.runs, runs)

    def stop(self) -> None:
        """Leave the bars as they are."""
        self.bars.stop()


class Log:
    """A line at most every few seconds: done, at work, time that remains."""

    def __init__(self, stream: TextIO, every: float = 10.0) -> None:
        self.stream = stream
        self.every = every
        self.read: set[str] = set()

    def reading(self, dataset: str, done: int, total: int) -> None:
        """Say once that a dataset is being read."""
        if dataset not in self.read:
            self.read.add(dataset)
            print(f"reading {total:,} pictures of {dataset}", file=self.stream, flush=True)

    def start(self, trainings: int, runs: int) -> None:
        """Say what is to be done."""
        self.total, self.done, self.at_work = (trainings, runs), (0, 0), 0
        self.started = self.said = time.monotonic()
        if trainings or runs:
            print(f"to do: {trainings} trainings, {runs} runs", file=self.stream, flush=True)

    def running(self, units: int) -> None:
        """Note how many are at work."""
        self.at_work = units

    def advance(self, trainings: int, runs: int, unit: Unit) -> None:
        """Say how far it is, if some time has passed since the last line."""
        self.done = (self.done[0] + trainings, self.done[1] + runs)
        now = time.monotonic()
        if now - self.said < self.every and self.done != self.total:
            return
        self.said, elapsed = now, now - self.started
        share = sum(self.done) / max(1, sum(self.total))
        remaining = f", about {_clock(elapsed * (1 - share) / share)} to go" if share >= SETTLED else ""
        print(
            f"[{_clock(elapsed)}] trainings {self.done[0]}/{self.total[0]}, runs {self.done[1]}/{self.total[1]}, "
            f"{self.at_work} at work{remaining}",
            file=self.stream,
            flush=True,
        )

    def stop(self) -> None:
        """Say nothing more."""


def for_people(stream: TextIO = sys.stderr) -> Progress:
    """Bars in a terminal, lines elsewhere."""
    return Terminal(Console(file=stream)) if stream.isatty() else Log(stream)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
