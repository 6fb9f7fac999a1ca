"""The leaderboard as files: a page, Markdown, and tables for other programs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.board.leaderboard import Entry, Leaderboard, Track
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
    """One row for each algorithm, in the order of the tables; accuracies are shares in [0, 1], unrounded."""
    rows = [_row(entry, track, board) for track in board.tracks for entry in track.entries]
    return pl.DataFrame(rows, infer_schema_length=None)


def as_data(board: Leaderboard) -> dict[str, Any]:
    """The leaderboard as plain data: its rules, the rows of :func:`table`, and where they come from."""
    return {
        **dataclasses.asdict(board.info),
        "criterion": board.criterion.name,
        "entries": table(board).to_dicts(),
        "absent": board.absent,
        "provenance": dict(board.provenance),
    }


def cells(board: Leaderboard) -> pl.DataFrame:
    """One row for each (algorithm, target, trial); the views that the score was taken on in one string."""
    return board.cells.with_columns(pl.col("views").list.join(" "))


def _row(entry: Entry, track: Track, board: Leaderboard) -> dict[str, str | float | int | None]:
    return {
        "track": track.name,
        "rank": entry.rank,
        "algorithm": entry.algorithm,
        "title": entry.title,
        "backbone": entry.backbone,
        "criterion": board.criterion.name,
        "families": " ".join(entry.families),
        "contaminated": " ".join(entry.contaminated),
        "runs": entry.runs,
        **_columns("accuracy", entry.accuracy),
        **{f"accuracy_{domain}": _mean(entry.targets.get(domain)) for domain in board.info.domains},
        "worst_target": entry.worst,
        **_columns("gap", entry.gap),
        **_columns(f"versus_{board.info.reference}", entry.difference),
        "oracle_unranked": entry.oracle.mean,
        "train_seconds": entry.cost.train,
        "run_seconds": entry.cost.predict,
        "passes": entry.cost.passes,
    }


def _columns(name: str, value: Estimate | None) -> dict[str, float | int | None]:
    return {
        name: _mean(value),
        f"{name}_low": value.low if value else None,
        f"{name}_high": value.high if value else None,
        f"{name}_n": value.n if value else None,
    }


def _mean(value: Estimate | None) -> float | None:
    return value.mean if value else None
