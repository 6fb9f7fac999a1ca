"""Indicators of a board's candidates, from runs in the store: predictions are read once, and again where they changed.

An indicator may be about all candidates of a cell together, so a cell is read again as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.runs.predictions import TABLE, intact
from dgbench.runs.remembered import STAMP, noted, place, recalled, stamped
from dgbench.runs.said import unfolding
from dgbench.runs.store import Store
from dgbench.selection.indicators import READ, indicators
from dgbench.selection.records import CANDIDATE, CELL, INDICATED, INDICATORS, METRICS

VERSION = "dgbench.indicated/1"
"""The number is raised whenever :func:`~dgbench.selection.indicators.indicators` comes to other numbers, too."""
FILES = pl.Schema({**{name: METRICS[name] for name in (*CELL, "draw", "run")}, **STAMP})
"""Of each run in a cell its predictions, as they were when they were read."""
_AT_ONCE = 8 * 2**20
"""Bytes of files that are read together."""
FOUND = pl.Schema({name: INDICATORS[name] for name in (*CANDIDATE, *INDICATED)})
_TABLES = {"files": FILES, "indicated": FOUND}


def indicated(board: BoardCard, store: Store, runs: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """The indicators of all candidates of which something is in the store, as :data:`INDICATORS`.

    Args:
        board: The rules.
        store: Holds the runs.
        runs: Which: ``algorithm, target, trial, draw, run``. A cell that lacks the predictions of one of them has none.
        weights: What was found of weights, as :func:`dgbench.runs.judged.weighed` gives it.
    """
    found = _indicated(board, store, runs).join(weights, on=CANDIDATE, how="full", coalesce=True)
    return found.select(INDICATORS.names())


def _indicated(board: BoardCard, store: Store, runs: pl.DataFrame) -> pl.DataFrame:
    """Those that follow from predictions, as :data:`FOUND`."""
    folder = place(store, board, "indicated")
    before = recalled(folder, VERSION, _TABLES)
    now = _stamped(store, runs.select(*CELL, "draw", "run"))
    fresh = now.join(before["files"], on=FILES.names(), how="anti")
    gone = before["files"].join(now, on=FILES.names(), how="anti")
    changed = pl.concat([fresh, gone]).select(CELL).unique()
    kept = {name: table.join(changed, on=CELL, how="anti") for name, table in before.items()}
    unread = now.join(kept["files"], on=CELL, how="anti")
    read = [kept["indicated"], *_read(store, unread)]
    found = pl.concat(read)
    if len(read) > 1:
        whole = now.join(found, on=CELL, how="semi")
        noted(store, folder, VERSION, {"files": whole, "indicated": found})
    return found


def _stamped(store: Store, runs: pl.DataFrame) -> pl.DataFrame:
    """Runs with what their predictions are known by."""
    return runs.hstack(stamped(store.pieces_in("run"), runs["run"] + f"/{TABLE}")).select(FILES.names())


def _read(store: Store, runs: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The indicators of cells whose predictions are whole, as many at once as are read together; damage is said."""
    sizes = runs.group_by(CELL, maintain_order=True).agg(pl.col("size").sum())
    numbered = sizes.with_row_index("cell").with_columns(batch=pl.col("size").cum_sum() // _AT_ONCE)
    for _, cells in numbered.group_by("batch", maintain_order=True):
        own = runs.join(cells.select(*CELL, "cell"), on=CELL, maintain_order="left")
        paths = {run: intact(store, run) for run in own["run"].unique(maintain_order=True)}
        whose = own.with_columns(file=pl.col("run").replace_strict(paths, return_dtype=pl.String))
        whole = whose.filter(pl.col("file").is_not_null().all().over("cell"))
        if whole.height:
            files = pl.Enum(whole["file"].unique(maintain_order=True))
            rows = pl.scan_parquet(list(files.categories), include_file_paths="file", glob=False).filter(view="clean")
            with unfolding(store.root):
                examples = rows.select(pl.col("file").cast(files), *READ).collect()
            named = whole.select("cell", "draw", pl.col("file").cast(files)).join(examples, on="file")
            found = indicators(named).join(cells.select(*CELL, "cell"), on="cell")
            yield found.select(pl.col(name).cast(kind) for name, kind in FOUND.items())
