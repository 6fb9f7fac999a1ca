"""How far the boards of a store are, in words, and as one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from dgbench.core.amounts import duration, in_words
from dgbench.core.files import whole
from dgbench.runs.status import Status, StoreStatus

HEADINGS = ("board", "runs", "done", "at work", "failed", "left", "an hour", "to go", "device time", "memory")
DEVICES = ("board", "device", "device time", "images a second")


def row(board: Status) -> list[str]:
    """A board, in the order of :data:`HEADINGS`; empty where nothing is known."""
    counts = (board.runs, board.runs_finished, board.at_work, board.runs_failed, board.runs_left)
    memory = max(filter(None, (board.memory_bytes, board.peak_bytes)), default=None)
    return [
        board.board,
        *(f"{count:,}" for count in counts),
        "" if board.runs_per_hour is None else f"{board.runs_per_hour:,.0f}",
        "" if board.seconds_to_go is None else duration(board.seconds_to_go),
        duration(sum(spent.seconds for spent in board.spent)),
        "" if memory is None else in_words(memory),
    ]


def devices(seen: StoreStatus) -> Iterator[list[str]]:
    """What each kind of device has done for each board, in the order of :data:`DEVICES`."""
    for board in seen.boards:
        for one in board.spent:
            pace = "" if one.images_per_second is None else f"{one.images_per_second:,.0f}"
            yield [board.board, one.device, duration(one.seconds), pace]


def render(seen: StoreStatus) -> str:
    """The page."""
    from dgbench.board.render.frame import ALONE  # a look on the terminal needs no templates
    from dgbench.board.render.html import environment

    tables = [
        ("boards", "Boards", HEADINGS, [row(board) for board in seen.boards], [board.share for board in seen.boards]),
        ("devices", "Devices", DEVICES, list(devices(seen)), None),
    ]
    return environment().get_template("status.html").render(
        frame=ALONE, tables=tables, unreadable=[path.name for path in seen.unreadable],
        when=datetime.fromtimestamp(seen.seen, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    )  # fmt: skip


def write(seen: StoreStatus, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        DiskError: it cannot be written.
    """
    with whole(path) as temporary:
        temporary.write_text(render(seen), encoding="utf-8")
