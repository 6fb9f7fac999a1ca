"""What a person sees in a notebook while a plan is carried out: one display that changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from dgbench.core.visible import visible
from dgbench.runs.outlook import Following, clock

if TYPE_CHECKING:
    from dgbench.runs.notes import Stage


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook: IPython runs, and can change what it has displayed."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


class InNotebook(Following):
    """A bar for each stage, in one display that is updated a few times a second."""

    def __init__(self, every: float = 0.25) -> None:
        super().__init__()
        self.every = every
        self._handle: Any = None
        self._shown = -1e9

    def changed(self) -> None:
        """Show it, if some time has passed since the last display."""
        if time.monotonic() - self._shown >= self.every:
            self._show()

    def start(self, todo: Mapping[Stage, int]) -> None:
        """Show the bars."""
        self.started = time.monotonic()
        self._shown = -1e9
        super().start(todo)

    def stop(self) -> None:
        """Leave the bars as they are."""
        self.at_work, self.read = 0, None
        if self._handle is not None:
            self._show()

    def _show(self) -> None:
        rows = self._rows()
        if not rows:
            return
        self._shown = time.monotonic()
        content = {
            "text/html": _html(rows),
            "text/plain": "\n".join(f"{n} {c} {note}".strip() for n, _, c, note in rows),
        }
        if self._handle is None:
            from IPython.display import display

            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def _rows(self) -> list[tuple[str, float, str, str]]:
        """For each bar its name, the share that is done, the counts, and what else there is to say."""
        rows = []
        if self.read is not None:
            name, read, total = self.read
            rows.append((visible(name), read / total, f"{read:,}/{total:,}", "pictures"))
        for number, (stage, total) in enumerate(self.outlook.todo.items()):
            done, _ = self.outlook.counts(stage)
            failed = self.outlook.failed[stage]
            notes = [f"{failed:,} failed"] if failed else []
            if number == len(self.outlook.todo) - 1:
                notes += self._last()
            rows.append((stage, self.outlook.done[stage] / total, f"{done:,}/{total:,}", ", ".join(notes)))
        return rows

    def _last(self) -> list[str]:
        remaining = None if self.outlook.over() else self.outlook.remaining()
        notes = [f"{self.at_work} at work"] if self.at_work else []
        notes += [f"about {clock(remaining)} to go"] if remaining is not None and self.at_work else []
        return notes or [f"in {clock(time.monotonic() - self.started)}"]


def _html(rows: list[tuple[str, float, str, str]]) -> str:
    """Bars that take their colours from the notebook around them."""
    cell = 'style="text-align: left; padding: 0 .8em 0 0; border: 0; background: transparent"'
    lines = [
        f'<tr style="background: transparent"><td {cell}>{escape(name)}</td>'
        f'<td {cell}><progress value="{share:.4f}" max="1" aria-label="{escape(name)}"></progress></td>'
        f"<td {cell}>{escape(counts)}</td><td {cell}>{escape(note)}</td></tr>"
        for name, share, counts, note in rows
    ]
    return f'<table class="dgbench-progress" style="border: 0; margin: 0; color: inherit">{"".join(lines)}</table>'
