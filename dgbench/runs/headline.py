"""The headline of boards that are judged by another measure than accuracy, of every stream of runs in the store.

It is computed from predictions, which hold all that any measure needs, so what a run notes of itself does not depend on
the board that asks. What was computed is noted beside the list of the board's runs, and again where predictions have
changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import other_headlines
from dgbench.core.errors import StoreError
from dgbench.runs.finished import NAMED
from dgbench.runs.measured import changed, together
from dgbench.runs.predictions import TABLE
from dgbench.runs.remembered import STAMP, noted, place, recalled
from dgbench.runs.said import unfolding
from dgbench.runs.store import Store
from dgbench.selection.measures import MEASURES, of_streams
from dgbench.selection.predictions import AGAIN, STREAM

VERSION = "dgbench.headline/1"
"""The number is raised whenever a measure comes to other numbers, too."""
_STREAM = pl.Schema(
    {"run": pl.String(), "step": pl.Int64(), "split": pl.String(), "domain": pl.String(), "view": pl.String()}
)
KNOWN = pl.Schema({**_STREAM, "measure": pl.String(), "headline": pl.Float64(), **STAMP})
"""Of each run and stream the headline, by which measure, and of which file of predictions."""
_READ = (*STREAM, "label", "prediction", "group")


def by_headline(board: BoardCard, store: Store, runs: pl.DataFrame, measured: pl.LazyFrame) -> pl.LazyFrame:
    """What runs measured, with a column ``headline``: null where the board judges their dataset by accuracy.

    Runs whose headline is another measure, and whose predictions are damaged, which is said, are left out.

    Args:
        board: The rules.
        store: Holds the runs.
        runs: ``run`` and ``dataset`` of each that is finished.
        measured: What they noted, as :data:`dgbench.runs.finished.COMPACT`.

    Raises:
        StoreError: a run was predicted before the groups were noted that the measure is about.
    """
    by_accuracy = measured.with_columns(headline=pl.lit(None, pl.Float64))
    if not (others := other_headlines(board)):
        return by_accuracy
    its = runs.unique().filter(pl.col("dataset").is_in(list(others)))
    asked = its.join(measured.select("run").unique().collect(), on="run", how="semi", maintain_order="left")
    if not asked.height:
        return by_accuracy
    named = pl.col("dataset").replace_strict(others, return_dtype=pl.String)
    found = _known(board, store, asked.with_columns(measure=named))
    unknown = found.filter(pl.col("headline").is_null())
    if unknown.height:
        run, measure = unknown.select("run", "measure").row(0)
        raise StoreError(
            f"the {MEASURES[measure].title} of run {run} is not known: its images are in no group. If dgbench predicted"
            f" it before it noted groups, take {store.folder('run', run)} away, and 'dgbench run' predicts it again"
        )
    streams = found.select(*_STREAM, "headline")
    ours = pl.col("run").is_in(asked["run"].implode())
    judged = measured.filter(ours).with_columns(NAMED).join(streams.lazy(), on=_STREAM.names(), maintain_order="left")
    return pl.concat([by_accuracy.filter(~ours).with_columns(NAMED), judged])


def of_run(store: Store, run: str, measure: str, dataset: str) -> dict[tuple[int, str, str, str], float | None]:
    """The headline of a finished run by step, split, domain and view.

    Raises:
        DamagedError: its predictions are not what was written.
    """
    with unfolding(store.folder("run", run)):
        rows = pl.read_parquet(store.file("run", run, TABLE), columns=[*_READ]).filter(pl.col("split") != AGAIN)
    found = of_streams(rows, STREAM, measure, dataset).iter_rows()
    return {(step, split, domain, view): value for step, split, domain, view, value in found}


def _known(board: BoardCard, store: Store, asked: pl.DataFrame) -> pl.DataFrame:
    """Of some runs every stream; ``asked`` has ``run``, ``dataset`` and ``measure``."""
    folder = place(store, board, "headline")
    before = recalled(folder, VERSION, {"headline": KNOWN})["headline"].join(asked, on=["run", "measure"], how="semi")
    kept = before.join(changed(store, before), on="run", how="anti")
    fresh = [*_judged(store, asked.join(kept, on="run", how="anti", maintain_order="left"))]
    found = pl.concat([kept, *fresh])
    if fresh:
        noted(store, folder, VERSION, {"headline": found})
    return found


def _judged(store: Store, unread: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for (dataset, measure), runs in unread.group_by("dataset", "measure", maintain_order=True):
        for stamps in together(store, runs["run"]):
            files = stamps["file"].to_list()
            rows = pl.scan_parquet(files, include_file_paths="file", glob=False).filter(pl.col("split") != AGAIN)
            with unfolding(store.root):
                read = rows.select("file", *_READ).collect()
            found = of_streams(read, ["file", *STREAM], str(measure), str(dataset))
            yield (
                found.join(stamps, on="file")
                .with_columns(measure=pl.lit(measure))
                .select(pl.col(name).cast(kind) for name, kind in KNOWN.items())
            )
