"""The leaderboard as files: a page, Markdown, and tables for other programs."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from dgbench.board.leaderboard import Entry, Leaderboard
from dgbench.board.render import html, markdown
from dgbench.core.files import whole
from dgbench.selection.statistics import Estimate


def write(board: Leaderboard, folder: Path) -> list[Path]:
    """Write ``leaderboard.html``, ``.md`` and ``.csv``, and ``cells.csv``; each is whole or absent."""
    texts = {
        "leaderboard.html": html.render(board),
        "leaderboard.md": markdown.render(board),
        "leaderboard.csv": table(board).write_csv(),
        "cells.csv": cells(board).write_csv(),
    }
    paths = []
    for name, content in texts.items():
        with whole(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
        paths.append(folder / name)
    return paths


def table(board: Leaderboard) -> pl.DataFrame:
    """One row for each algorithm, in the order of the tables; accuracies are shares in [0, 1]."""
    return pl.DataFrame(
        [
            {"track": track.name, **_row(entry, board.info.domains), "criterion": board.criterion.name}
            for track in board.tracks
            for entry in track.entries
        ],
        infer_schema_length=None,
    )


def cells(board: Leaderboard) -> pl.DataFrame:
    """One row for each (algorithm, target, trial); the views that the score was taken on as JSON."""
    views = pl.col("views").map_elements(lambda views: json.dumps(list(views)), return_dtype=pl.String)
    return board.cells.with_columns(views)


def _row(entry: Entry, domains: tuple[str, ...]) -> dict[str, str | float | int | None]:
    return {
        "algorithm": entry.algorithm,
        "backbone": entry.backbone,
        "group": entry.group,
        "runs": entry.runs,
        **_columns("accuracy", entry.accuracy),
        **{f"target {name}": entry.targets[name].mean if name in entry.targets else None for name in domains},
        "worst_target": entry.worst,
        **_columns("gap", entry.gap),
        **(_columns("difference", entry.difference) if entry.difference else {}),
        "oracle_accuracy": entry.oracle.mean,
        "train_seconds": entry.cost.train,
        "run_seconds": entry.cost.predict,
        "passes": entry.cost.passes,
        "families": " ".join(entry.families),
    }


def _columns(name: str, value: Estimate) -> dict[str, str | float | int | None]:
    return {name: value.mean, f"{name}_low": value.low, f"{name}_high": value.high, f"{name}_n": value.n}
