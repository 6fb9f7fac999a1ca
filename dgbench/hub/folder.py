"""Folders that are repositories of the Hugging Face Hub: a board as data, an exported model with its card.

BOARD/
  README.md                  the card, with the leaderboard; its first block says which file is which configuration
  data/*.parquet             ranks, cells, pairs, criteria; runs and measurements, which all of these follow from
  leaderboard.html, .tex     for reading, and for a paper; methods.bib
  every-eval-ever/           a record for each algorithm
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from huggingface_hub import DatasetCardData

from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render import every_eval_ever, files, hub_results, markdown
from dgbench.core.dataset_card import unsupported
from dgbench.core.errors import DGBenchError
from dgbench.core.files import whole_folder
from dgbench.core.names import file_name
from dgbench.core.visible import visible
from dgbench.exported.card import FILES, README, ModelCard, read_card, tensors
from dgbench.runs.collect import Records

_SHOWN = ("leaderboard.html", "leaderboard.tex", "methods.bib")
_SPLIT = "test"
"""The Hub wants a name for a part of a table; each has one part, and all of it is about tests."""
TABLES = {
    "ranks": "a row for each algorithm: rank, accuracy with its interval, accuracy on each target",
    "cells": "a row for each algorithm, target and trial: what was chosen, and what it reached",
    "pairs": "a row for each pair of algorithms: their difference, its interval, p after correction",
    "criteria": "a row for each criterion: how well it selected",
    "runs": "a row for each run: its hyperparameters, what it started from, what it cost",
    "measurements": "a row for each run, checkpoint and stream of images: accuracy, likelihood, digest of predictions",
}
"""Configurations of a board's repository."""


def board_folder(board: Leaderboard, records: Records, folder: Path, licence: str) -> None:
    """Write a board as a repository of data.

    Args:
        board: The leaderboard.
        records: What it was computed from.
        folder: Where; what an earlier call wrote there is replaced.
        licence: Of the numbers, as the Hub calls it.

    Raises:
        DGBenchError: the folder holds something else, or values are predicted.
        DiskError: it cannot be written.
    """
    if board.info.value:
        raise unsupported(f"'{board.info.name}' predicts values ({board.info.value})", "its repository holds shares")
    _refuse_foreign(folder)
    tables = {
        "ranks": files.table(board),
        "cells": files.cells(board),
        "pairs": files.pairs(board),
        "criteria": files.qualities(board),
        "runs": records.runs,
        "measurements": records.metrics,
    }
    with whole_folder(folder) as made:
        (made / "data").mkdir()
        for name, table in tables.items():
            untyped = [column for column, kind in table.schema.items() if kind == pl.Null]
            table.with_columns(pl.col(untyped).cast(pl.String)).write_parquet(made / "data" / f"{name}.parquet")
        files.write(board, made / "written")
        for name in _SHOWN:
            if (made / "written" / name).exists():
                (made / "written" / name).rename(made / name)
        shutil.rmtree(made / "written")
        every_eval_ever.write(board, made / "every-eval-ever", datetime.now(UTC))
        (made / README).write_text(_board_card(board, tables, licence), encoding="utf-8")


def model_folder(model: Path, folder: Path, benchmark: str | None = None) -> ModelCard:
    """Copy an exported model as a repository of a model; what it holds is compared with its card on the way.

    Args:
        model: The folder of an exported model.
        folder: Where; what an earlier call wrote there is replaced.
        benchmark: The board's repository of data on the Hub, ``owner/name``; the model's accuracy on the domain that
            it never saw is then written for it, too.

    Raises:
        DGBenchError: that is no exported model or not what its card says, or the folder holds something else.
        DiskError: it cannot be written.
    """
    if benchmark:
        hub_results.owner_and_name(benchmark)
    card = read_card(model)
    _refuse_foreign(folder)
    with whole_folder(folder) as made:
        for name in sorted(FILES):
            if name in card.files:
                shutil.copyfile(tensors(model, card, name), made / name)
            elif (model / name).is_file():
                shutil.copyfile(model / name, made / name)
        chosen, reached = card.selection, card.scores.target
        if benchmark and chosen.target and reached is not None:
            path = made / hub_results.FOLDER / f"{file_name(chosen.board)}.yaml"
            path.parent.mkdir()
            notes = f"{card.algorithm.title}, chosen by {chosen.criterion}, trial {chosen.trial}"
            path.write_text(
                hub_results.listed({chosen.target: reached.value}, benchmark, visible(notes)), encoding="utf-8"
            )
    return card


def _board_card(board: Leaderboard, tables: Mapping[str, pl.DataFrame], licence: str) -> str:
    """The card of a board's repository."""
    info = board.info
    data = DatasetCardData(
        pretty_name=visible(info.title),
        license=licence,
        task_categories=["image-classification"],
        tags=["domain-generalization", "dgbench", "leaderboard"],
        configs=[
            {
                "config_name": name,
                "data_files": [{"split": _SPLIT, "path": f"data/{name}.parquet"}],
                **({"default": True} if name == "ranks" else {}),
            }
            for name in tables
        ],
    )
    rows = [[name, f"{tables[name].height:,}", said] for name, said in TABLES.items()]
    blocks = [
        markdown.render(board).rstrip(),
        "## Tables",
        markdown.table(["Configuration", "Rows", "What it holds"], rows),
        '    datasets.load_dataset("OWNER/NAME", "cells")',
        "`leaderboard.html` is the page; it needs no network. `every-eval-ever/` holds a record for each algorithm in "
        "the form of Every Eval Ever, `methods.bib` the papers. Accuracies in tables are shares in [0, 1].",
        "## To compute it again",
        f"    {info.recompute}",
    ]
    return f"---\n{data.to_yaml()}\n---\n" + "\n\n".join(blocks) + "\n"


def _refuse_foreign(folder: Path) -> None:
    """Replace nothing but what was written here before."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        block = (folder / README).read_text(encoding="utf-8").partition("\n---\n")[0].splitlines()
    except (OSError, ValueError):
        block = []
    if block[:1] != ["---"] or "- dgbench" not in block:
        raise DGBenchError(f"{folder} holds something else, and is left as it is; name a new or an empty folder")
