"""Other numbers than accuracy, of runs in the store: what was predicted is read once, and again where it changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.runs.predictions import TABLE, intact
from dgbench.runs.remembered import STAMP, noted, place, recalled, stamped
from dgbench.runs.said import unfolding
from dgbench.runs.stamps import Stamp, stamp
from dgbench.runs.store import Store
from dgbench.selection.familiar import Familiar
from dgbench.selection.measures import COMPUTED, EXAMPLE, class_count, listed, measure, official_groups
from dgbench.selection.records import CANDIDATE

VERSION = "dgbench.measured/4"
"""The number is raised whenever :func:`~dgbench.selection.measures.measure` comes to other numbers, too."""
MEASURES = pl.Schema(
    {
        "run": pl.String(),
        "step": pl.Int64(),
        "lists": pl.String(),
        **dict.fromkeys(COMPUTED, pl.Float64()),
        **STAMP,
    }
)
"""Of each run and step the numbers, by which lists of what pretraining knows, and of which file of predictions."""

_FILE = pl.Schema({"file": pl.String(), "run": pl.String(), **STAMP})
_AT_ONCE = 64 * 2**20
"""Bytes of files that are read together."""


def measured(board: BoardCard, store: Store, cells: pl.DataFrame, known: Familiar) -> pl.DataFrame:
    """Judge models whose runs are in the store, as :func:`dgbench.selection.measures.measured` does.

    Args:
        board: The rules.
        store: Holds the runs.
        cells: Which models: columns as there.
        known: What pretraining knows well.
    """
    wanted = cells.select(*CANDIDATE, "dataset", "run").unique(maintain_order=True)
    runs = wanted.select("run", "dataset").unique(maintain_order=True)
    folder = place(store, board, "measured")
    before = recalled(folder, VERSION, {"measured": MEASURES})["measured"].filter(pl.col("lists") == known.identity)
    kept = before.join(changed(store, before.join(runs, on="run", how="semi")), on="run", how="anti")
    fresh = [*_judged(store, runs.join(kept, on="run", how="anti", maintain_order="left"), known)]
    found = pl.concat([kept, *fresh])
    if fresh:
        noted(store, folder, VERSION, {"measured": found})
    return wanted.join(found, on=["run", "step"]).select(*CANDIDATE, *COMPUTED)


def changed(store: Store, before: pl.DataFrame) -> pl.DataFrame:
    """The runs whose predictions are no longer those that were read."""
    found = before.select("run", *STAMP).unique()
    now = stamped(store.pieces_in("run"), found["run"] + f"/{TABLE}")
    return found.filter(pl.any_horizontal(pl.col(name) != now[name] for name in STAMP)).select("run")


def _judged(store: Store, unread: pl.DataFrame, known: Familiar) -> Iterator[pl.DataFrame]:
    """Of runs whose predictions are whole every step; what is damaged is said."""
    for (dataset,), runs in unread.group_by("dataset", maintain_order=True):
        for batch in together(store, runs["run"]):
            files = batch["file"].to_list()
            rows = pl.scan_parquet(files, include_file_paths="file", glob=False).filter(split="target")
            with unfolding(store.root):
                examples = rows.select(
                    "file", "step", *EXAMPLE, listed(known, str(dataset)).alias("familiar")
                ).collect()
            numbered = examples.with_columns(pl.col("file").cast(pl.Enum(files)))
            about = official_groups(str(dataset)), class_count(str(dataset))
            found = measure(numbered, ["file", "step"], *about).with_columns(pl.col("file").cast(pl.String))
            yield (
                found.join(batch, on="file")
                .with_columns(lists=pl.lit(known.identity))
                .select(pl.col(name).cast(kind) for name, kind in MEASURES.items())
            )


def together(store: Store, runs: Iterable[str]) -> Iterator[pl.DataFrame]:
    """Files of predictions, as many as are read at once: ``file, run``, and its stamp before it was hashed."""
    files: list[tuple[str, str, *Stamp]] = []
    taken = 0
    for run in runs:
        seen = stamp(store.folder("run", run) / TABLE)
        path = intact(store, run)
        if path is None or seen is None:
            continue
        files.append((path, run, *seen))
        taken += seen[1]
        if taken > _AT_ONCE:
            yield pl.DataFrame(files, _FILE, orient="row")
            files, taken = [], 0
    if files:
        yield pl.DataFrame(files, _FILE, orient="row")
