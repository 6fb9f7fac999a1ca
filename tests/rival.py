"""A process that does a board, perhaps beside another one."""

import io
from dataclasses import dataclass
from pathlib import Path

from dgbench.api import boards
from dgbench.core.cards import BoardCard
from dgbench.runs.progress import Log


@dataclass(frozen=True)
class Did:
    """What a process said while it did a board, and how many trainings and runs it did."""

    said: list[str]
    trainings: int
    runs: int
    failed: int


def does_a_board(board: BoardCard, store: Path) -> Did:
    stream = io.StringIO()
    summary = boards.run(board, store=store, device="cpu", workers=1, progress=Log(stream, every=0))
    return Did(stream.getvalue().splitlines(), summary.trainings, summary.runs, len(summary.failed))
