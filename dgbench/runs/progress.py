"""What a person sees while a plan is carried out: bars in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TextIO, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from dgbench.runs.notebook import InNotebook, in_notebook
from dgbench.runs.outlook import Following, HowFar, Outlook, clock

if TYPE_CHECKING:
    from dgbench.runs.notes import Stage

Callback = Callable[[HowFar], None]
"""Is called whenever something happens. What it raises stops the work; what is finished is kept."""


@runtime_checkable
class Progress(Protocol):
    """Is told what happens to a plan: an object with these methods.

    The stages of the work are ``views`` (validation images under shifts) and ``features`` (of frozen backbones), both
    in images, and ``trainings`` and ``runs``. A function that is called with a :class:`dgbench.HowFar` does as well.
    """

    def reading(self, dataset: str, done: int, total: int) -> None:
        """So many of a dataset's pictures were built, looked at or decoded."""

    def start(self, todo: Mapping[Stage, int]) -> None:
        """So much is to be done in each stage."""

    def running(self, jobs: int) -> None:
        """So many jobs are being worked on."""

    def advance(self, stage: Stage, amount: float, seconds: float | None) -> None:
        """So much more is done; less, where that has to be done again.

        Args:
            stage: Of what.
            amount: A training is done by shares of one.
            seconds: What it took one worker; None where it was there, or does not tell of the pace.
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


class Calls(Following):
    """Calls a function with a :class:`HowFar` whenever something happens."""

    def __init__(self, callback: Callback) -> None:
        super().__init__()
        self.callback = callback

    def changed(self, *, stopped: bool = False) -> None:
        """Say so."""
        self.callback(self.outlook.how_far(self.at_work, self.read, stopped=stopped))

    def stop(self) -> None:
        """Say so, for the last time."""
        self.at_work = 0
        self.changed(stopped=True)


def told(progress: Progress | Callback | None) -> Progress:
    """Who is told: what was given, what calls the function that was given, or nobody."""
    if progress is None:
        return Silent()
    return progress if isinstance(progress, Progress) else Calls(progress)


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
                notes += [f"about {clock(remaining)} to go"] if remaining is not None else []
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
            said += [] if remaining is None else [f"about {clock(remaining)} to go"]
        self._say(f"[{clock(now - self.started)}] {', '.join(said)}")

    def _say(self, line: str) -> None:
        print(line, file=self.stream, flush=True)

    def stop(self) -> None:
        """Say nothing more."""


def for_people(stream: TextIO | None = None) -> Progress:
    """Bars in a terminal, a display that changes in a notebook, a line now and then elsewhere.

    Args:
        stream: Where bars and lines are written; by default the standard error.
    """
    if stream is None and in_notebook():
        return InNotebook()
    stream = stream or sys.stderr
    return Terminal(Console(file=stream)) if stream.isatty() else Log(stream)


def _amount(stage: Stage, total: int) -> str:
    what = {"views": "shifted images", "features": "features of images"}.get(stage, stage)
    return f"{total:,} {what}"
