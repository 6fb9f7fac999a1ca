"""The predictions of a board, read from the store without torch."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.errors import DamagedError, StoreError, UnknownNameError
from dgbench.core.seals import checked
from dgbench.runs.said import unfolding
from dgbench.runs.store import Store
from dgbench.selection.predictions import PREDICTIONS

TABLE = "predictions.parquet"
WHOSE = pl.Schema(
    {
        "algorithm": pl.String(),
        "target": pl.String(),
        "trial": pl.Int64(),
        "draw": pl.Int64(),
        "run": pl.String(),
        "dataset": pl.String(),
    }
)
"""Whose predictions they are, as in the records of a board: ``dgbench.selection.records``."""

ON_TARGET = ["step", "split", "domain", "index", "sample", "group", "label", "prediction", "confidence", "p_label"]
"""What is read of predictions of the target, where single images are looked at."""
IN_FULL = ["step", "split", "domain", "view", "index", "group", "label", "prediction", "confidence", "p_label"]
"""What is read of all predictions of a run, where they are counted again."""


def predictions(board: BoardCard, store: Store, **only: Hashable) -> pl.LazyFrame:
    """Every prediction of a board's finished runs: the columns :data:`WHOSE`, then those of a run's own table.

    Files are hashed now and read when the frame is collected. A run that several algorithms share is there for each.

    Args:
        board: The rules.
        store: Holds the runs.
        only: Columns of :data:`WHOSE`, each with the one value that is wanted. What is left out is not opened.

    Raises:
        UnknownNameError: the board has no such algorithm or target.
        StoreError: the board was never run on this store, or nothing that is asked for is finished.
    """
    entries: list[dict[str, Any]] = store.read_index(board)["entries"]
    for name, value in only.items():
        known = {entry[name] for entry in entries}
        if isinstance(value, str) and value not in known:
            raise UnknownNameError(f"{name} on '{board.name}'", value, known)
    wanted = [entry for entry in entries if all(entry[name] == value for name, value in only.items())]
    files = {id_: intact(store, id_) for id_ in dict.fromkeys(entry["run"] for entry in wanted)}
    rows = [{**{name: entry[name] for name in WHOSE}, "file": files[entry["run"]]} for entry in wanted]
    whose = pl.DataFrame(rows, schema={**WHOSE, "file": pl.String}).drop_nulls("file")
    if not whose.height:
        asked = "".join(f", {name} {value}" for name, value in only.items())
        raise StoreError(
            f"'{board.name}'{asked}: no run is finished in {store.place}; 'dgbench run' does what is missing"
        )
    found = pl.scan_parquet(whose["file"].unique(maintain_order=True).to_list(), include_file_paths="file", glob=False)
    return whose.lazy().join(found, on="file", maintain_order="left_right").select(*WHOSE, *PREDICTIONS)


def on_target(store: Store, run: str) -> pl.DataFrame | None:
    """What a run predicted of its target, at every step; None where it is not finished, or damaged, which is said."""
    path = intact(store, run)
    if path is None:
        return None
    with unfolding(store.folder("run", run)):
        return pl.read_parquet(path, columns=ON_TARGET, glob=False).filter(pl.col("split") == "target")


def in_full(store: Store, run: str) -> pl.DataFrame | None:
    """All that a run predicted; None where it is not finished, or damaged, which is said."""
    path = intact(store, run)
    with unfolding(store.folder("run", run)):
        return None if path is None else pl.read_parquet(path, columns=IN_FULL, glob=False)


def intact(store: Store, run: str) -> str | None:
    """The path of a finished run's table; None where it is not finished, or damaged, which is said."""
    try:
        note = store.done("run", run)
        return None if note is None else str(checked(store.folder("run", run), TABLE, note["files"]))
    except DamagedError as error:
        store.say(error)
        return None
