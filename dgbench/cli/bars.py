"""Bars of progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def shown_bars(quiet: bool) -> Iterator[Progress]:
    """Bars on stderr, with the time that remains; none where it is to be quiet."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("to go"),
    )
    with Progress(*columns, console=Console(file=sys.stderr), disable=quiet) as bars:
        yield bars


class Bar:
    """One bar, which shows itself when there is something to show."""

    def __init__(self, bars: Progress, title: str) -> None:
        self.bars = bars
        self.task = bars.add_task(title, total=None, visible=False)

    def __call__(self, done: int, total: int) -> None:
        """Show how much is done, of how much."""
        self.bars.update(self.task, completed=done, total=total, visible=True)
