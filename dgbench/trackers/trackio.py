"""trackio: a run for each training, grouped by board, in a database on this machine; ``trackio show`` shows it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from contextvars import Context

import trackio

from dgbench.runs.events import Setting, Tracker
from dgbench.trackers.sheets import Sheets


def tracker(where: str | None) -> Tracker:
    """Writes to a project, by default ``dgbench``."""
    return Sheets(_Trackio(where or "dgbench"))


class _Trackio:
    def __init__(self, project: str) -> None:
        self.project = project

    def open(self, board: str, name: str, settings: Mapping[str, Setting], labels: Mapping[str, str]) -> trackio.Run:
        about = {**settings, **labels}

        def init() -> trackio.Run:
            return trackio.init(self.project, f"{board}-{name}", board, config=about, resume="allow", embed=False)

        with redirect_stdout(sys.stderr):  # which is the board's
            return Context().run(init)  # there, no other run is open that would be closed

    def write(self, sheet: trackio.Run, step: int, numbers: Mapping[str, float]) -> None:
        sheet.log(dict(numbers), step=step)

    def close(self, sheet: trackio.Run, status: str, cause: str) -> None:
        with redirect_stdout(sys.stderr):
            sheet.log({"status": status, "cause": cause})
            sheet.finish()
