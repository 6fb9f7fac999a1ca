"""From a board to a model for use: elect a recipe, train it on all domains, export it with what to expect of it."""

from __future__ import annotations

from pathlib import Path

from dgbench.core.cards import BoardCard
from dgbench.core.errors import CardError, DGBenchError
from dgbench.exported.card import ModelCard
from dgbench.exported.choose import of_cell, planned, refuse_several
from dgbench.exported.elect import elect
from dgbench.exported.write import refuse_foreign, write
from dgbench.runs.all_domains import on_all_domains
from dgbench.runs.collect import collect
from dgbench.runs.device import DeviceName, resolve_device
from dgbench.runs.index import index
from dgbench.runs.launch import launch
from dgbench.runs.progress import Progress, Silent
from dgbench.runs.store import Store
from dgbench.selection.criteria import ranking


def deploy(
    board: BoardCard,
    store: Store,
    folder: Path,
    *,
    criterion: str,
    device: DeviceName = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> ModelCard:
    """Train the recipe that a board's criterion elects on all domains, and write the model as a folder.

    The training and its predictions on validation images lie in the store like any others: they are done once, and
    what was stopped goes on.

    Args:
        board: The rules; its runs are finished.
        store: Holds them.
        folder: Where the model goes; an exported model that is there is replaced.
        criterion: What elects, and chooses the checkpoint. One that reads target labels is refused.
        device, workers, progress: As for :func:`dgbench.runs.launch.launch`.

    Raises:
        StoreError: runs are missing.
        DataError: the board's data is not on this machine.
        CardError: the board has several datasets, and one model cannot serve them.
        RecipeError: what is elected predicts with several networks.
        DGBenchError: the training failed, or the folder holds something else.
    """
    by, told = ranking(criterion, board.name), progress or Silent()
    refuse_foreign(folder)
    if len(board.dataset) > 1:
        raise CardError(f"board '{board.name}' has the datasets {', '.join(board.dataset)}; take one of them: -d NAME")
    plan = planned(board, fetch=True, progress=told)
    elected = elect(plan, collect(board, store, index(plan)), by)
    refuse_several(elected.entry)
    whole = on_all_domains(plan, elected.entry, criterion)
    summary = launch(whole, store, device=device, workers=workers, progress=told)
    for failed in summary.failed.values():
        raise DGBenchError(f"the training on all domains failed: {failed}")
    choice = of_cell(board, whole, whole.entries, collect(whole.board, store, index(whole)), by)
    return write(choice, store, folder, resolve_device(device), elected.expected)
