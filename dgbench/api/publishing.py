"""The public functions of what is published: what others have, and what goes out from here.

    frame = dgbench.published("pacs")
    dgbench.publish_board("quick", "quick-on-the-hub")
    dgbench.publish_model("model", "model-on-the-hub", push="me/my-model")

Nothing leaves this machine unless ``push`` names where it goes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dgbench.api import boards
from dgbench.api.boards import Board

if TYPE_CHECKING:
    import polars as pl


def published(dataset: str | None = None, *, algorithm: str | None = None) -> pl.DataFrame:
    """Numbers that others published, as they are printed. None was computed here, and none is ever ranked.

    Args:
        dataset: Of this one alone: its means, and its targets where they are known.
        algorithm: Of methods by the idea of this recipe alone; they are not the code here.

    Returns:
        A row for each figure: ``source, table, method, algorithm, dataset, target``, then ``value`` and ``spread`` with
        their ``measure`` and ``unit``, then how they came about. An empty ``dataset`` is the mean over the datasets
        of the table, an empty ``target`` the mean over those of the dataset.

    Raises:
        UnknownNameError: nothing is known of it.
    """
    from dgbench.literature.table import frame

    return frame(dataset, algorithm)


def publish_board(
    board: Board,
    folder: str | Path,
    *,
    criterion: str | None = None,
    store: Path | str | None = None,
    licence: str = "mit",
    push: str | None = None,
    public: bool = False,
) -> str | None:
    """Write a leaderboard, with the records that it follows from, as a repository of data for the Hugging Face Hub.

    Args:
        board, criterion, store: As for :func:`dgbench.leaderboard`.
        folder: Where; what an earlier call wrote there is replaced, nothing else is.
        licence: Of the numbers, as the Hub calls it.
        push: Send it to this repository, ``owner/name``; by default nothing is sent.
        public: Whether a repository that is new is for everybody.

    Returns:
        The address of the commit if it was sent.

    Raises:
        StoreError: nothing of the board is there.
        DGBenchError: the folder holds something else; nobody is logged in, or the Hub refused or was not reached.
    """
    from dgbench.hub.folder import board_folder

    made = boards.leaderboard(board, criterion=criterion, store=store)
    board_folder(made, made.records, Path(folder), licence)
    return _push(Path(folder), push, "dataset", public)


def publish_model(
    model: str | Path,
    folder: str | Path,
    *,
    benchmark: str | None = None,
    push: str | None = None,
    public: bool = False,
) -> str | None:
    """Write an exported model as a repository of a model for the Hugging Face Hub.

    Args:
        model: Its folder, of :func:`dgbench.export` or :func:`dgbench.deploy`.
        folder: Where; what an earlier call wrote there is replaced, nothing else is.
        benchmark: The board's repository of data on the Hub, ``owner/name``, for a file of ``.eval_results``.
        push: Send it to this repository, ``owner/name``; by default nothing is sent.
        public: Whether a repository that is new is for everybody.

    Returns:
        The address of the commit if it was sent.

    Raises:
        DGBenchError: that is no exported model or not what its card says; the folder holds something else; nobody is
            logged in, or the Hub refused or was not reached.
    """
    from dgbench.hub.folder import model_folder

    model_folder(Path(model), Path(folder), benchmark)
    return _push(Path(folder), push, "model", public)


def _push(folder: Path, to: str | None, kind: Literal["dataset", "model"], public: bool) -> str | None:
    if to is None:
        return None
    from dgbench.hub.push import push

    return push(folder, to, kind, public=public)
