"""A log of events: a file to which each is added as one line of JSON, with the time and its kind."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

from dgbench.core.disk import writing
from dgbench.core.files import finite
from dgbench.runs.events import Event, Tracker


def tracker(path: Path) -> Tracker:
    """Adds to a file, which may be there; what cannot be written is said before the work.

    Raises:
        DiskError: it cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def log(event: Event) -> None:
        said = {"time": datetime.now(UTC).isoformat(), "event": type(event).__name__, **dataclasses.asdict(event)}
        with path.open("a", encoding="utf-8") as file:  # opened each time: a line is whole when it is there
            file.write(json.dumps(finite(said), ensure_ascii=False, allow_nan=False) + "\n")

    return log
