"""TensorBoard: event files in ``FOLDER/BOARD/TRAINING``; ``tensorboard --logdir FOLDER`` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dgbench.core.names import file_name
from dgbench.runs.events import Setting, Tracker
from dgbench.trackers.sheets import Sheets

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def tracker(where: str | None) -> Tracker:
    """Writes to a folder, by default ``tensorboard`` in the working directory."""
    return Sheets(_TensorBoard(Path(where or "tensorboard")))


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)  # what cannot be written is said before the work
        self.folder = folder

    def open(self, board: str, name: str, settings: Mapping[str, Setting], labels: Mapping[str, str]) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(self.folder / file_name(board) / file_name(name)))
        for label, text in labels.items():
            writer.add_text(label, text)
        if settings:
            told = {key: str(value) if value is None else value for key, value in settings.items()}
            writer.add_hparams(told, {}, run_name=".")  # beside the numbers, in no folder of its own
        return writer

    def write(self, sheet: SummaryWriter, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            sheet.add_scalar(name, value, step)
        sheet.flush()

    def close(self, sheet: SummaryWriter, status: str, cause: str) -> None:
        sheet.add_text("status", f"{status}: {cause}" if cause else status)
        sheet.close()
