"""The leaderboard as files: a page, Markdown, and tables for other programs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.board.leaderboard import Entry, Leaderboard, Track
from dgbench.board.rankings import Rankings
from dgbench.board.render import bibtex, html, latex, markdown
from dgbench.board.render.figures import own
from dgbench.board.render.frame import ALONE, Frame
from dgbench.core.files import whole
from dgbench.core.visible import visible
from dgbench.selection.statistics import Estimate

_ENDS = ("", "_low", "_high", "_n")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What spreadsheets take the beginning of a formula for, also in full width."""


def write(board: Leaderboard, folder: Path, frame: Frame = ALONE, others: Rankings | None = None) -> list[Path]:
    """Write the leaderboard as a page, Markdown, LaTeX and CSV; each file is whole or absent.

    Args:
        board: What is written.
        folder: Where: ``leaderboard.html``, ``.md``, ``.csv`` and ``.tex``, ``cells.csv``, ``pairs.csv``,
            ``criteria.csv``, ``methods.bib`` where cards name papers, and ``measures.csv`` where others are given.
        frame: What stands around the page.
        others: The same board by other measures than accuracy, which the page can be switched to.

    Returns:
        The paths, the page first.
    """
    texts = {
        "leaderboard.html": html.render(board, frame, others),
        "leaderboard.md": markdown.render(board),
        "leaderboard.csv": comma_separated(table(board)),
        "leaderboard.tex": latex.render(board),
        "cells.csv": comma_separated(cells(board)),
        "pairs.csv": comma_separated(pairs(board)),
        "criteria.csv": comma_separated(qualities(board)),
    }
    if papers := bibtex.bibliography(entry.algorithm for entry in board.entries):
        texts["methods.bib"] = papers
    if others is not None and others.known:
        texts["measures.csv"] = comma_separated(pl.concat(ranking.to_polars() for ranking in others.known.values()))
    paths = []
    for name, content in texts.items():
        with whole(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
        paths.append(folder / name)
    return paths


def table(board: Leaderboard) -> pl.DataFrame:
    """One row for each algorithm, in the order of the tables; accuracies are shares in [0, 1], unrounded.

    Of another headline the columns are that, in its unit; a gap is by how much it is worse on the target.
    """
    rows = [_row(entry, track, board) for track in board.tracks for entry in track.entries]
    return pl.DataFrame(rows, infer_schema_length=None)


def as_data(board: Leaderboard) -> dict[str, Any]:
    """The leaderboard as plain data: its rules, the rows of :func:`table`, and where they come from."""
    info = dataclasses.asdict(board.info)
    info = {name: said for name, said in info.items() if said or name not in ("looks", "value", "unit")}
    return {
        **info,
        "headline": board.info.headline.name,
        "criterion": board.criterion.name,
        "entries": table(board).to_dicts(),
        "absent": board.absent,
        "provenance": dict(board.provenance),
    }


def cells(board: Leaderboard) -> pl.DataFrame:
    """One row for each (algorithm, target, trial); lists in one string. Columns are called after what they hold."""
    lists = pl.col("views", "trained").list.join(" "), pl.col("sources").list.join(", ")
    headline = board.info.headline
    held = [name for name in board.cells.columns if "accuracy" in name]
    named = {name: name.replace("accuracy", headline.name) for name in held}
    return board.cells.with_columns(*lists, pl.col(held) * headline.turn).rename(named)


def pairs(board: Leaderboard) -> pl.DataFrame:
    """One row for each pair of ranked results: the difference, its own interval, and p after Holm's correction."""
    rows = [
        {
            "track": track.name,
            "first": pair.first,
            "second": pair.second,
            **columns("difference", own(pair.difference, board.info.headline)),
            "p_corrected": pair.p,
            "better": pair.better,
        }
        for track in board.tracks
        for pair in track.pairs
    ]
    names = ("track", "first", "second", *(f"difference{end}" for end in _ENDS), "p_corrected", "better")
    texts = ("track", "first", "second", "better")
    schema = {name: pl.String() if name in texts else pl.Float64() for name in names}
    return pl.DataFrame(rows, schema | {"difference_n": pl.Int64()})


def qualities(board: Leaderboard) -> pl.DataFrame:
    """One row for each track and criterion: how well it selected."""
    rows = [
        {
            "track": track.name,
            "criterion": quality.criterion.name,
            **columns("picked", own(quality.picked, board.info.headline)),
            **columns("regret", quality.regret),
            **columns("correlation", quality.correlation),
            "best": own(quality.best, board.info.headline).mean,
            "blind": own(quality.blind, board.info.headline).mean,
            "candidates": quality.candidates,
        }
        for track in board.tracks
        for quality in track.qualities
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def comma_separated(frame: pl.DataFrame) -> str:
    """As comma-separated values, of which no spreadsheet takes one for a formula and no terminal for a command."""
    return frame.rename(visible).with_columns(pl.selectors.string().map_elements(_inert, pl.String)).write_csv()


def _inert(text: str) -> str:
    """The text itself, after an apostrophe where a spreadsheet would calculate it."""
    shown = visible(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _row(entry: Entry, track: Track, board: Leaderboard) -> dict[str, str | float | int | None]:
    return {
        "track": track.name,
        "rank": entry.rank,
        "rank_worst": entry.rank_worst,
        "algorithm": entry.algorithm,
        "title": entry.title,
        "level": entry.level,
        "same_predictions_as": entry.same_as,
        "without_effect": entry.without_effect,
        "backbone": entry.backbone,
        "pretrained_on": entry.pretrained_on,
        "criterion": board.criterion.name,
        "families": " ".join(entry.families),
        "held_out": " ".join(entry.held_out),
        "contaminated": " ".join(entry.contaminated),
        "runs": entry.runs,
        "diverged": entry.diverged,
        **({"trials": entry.trials} if board.info.looks else {}),
        **columns(board.info.headline.name, own(entry.accuracy, board.info.headline)),
        **{
            f"{board.info.headline.name}_{domain}": _mean(own(entry.targets.get(domain), board.info.headline))
            for domain in board.info.domains
        },
        "nll": _mean(entry.nll),
        "worst_target": entry.worst,
        **columns("gap", entry.gap),
        **columns(f"versus_{board.info.reference}", own(entry.difference, board.info.headline)),
        "ceiling_unranked": own(entry.ceiling, board.info.headline).mean,
        "oracle_unranked": own(entry.oracle, board.info.headline).mean,
        "train_seconds": entry.cost.train,
        "run_seconds": entry.cost.predict,
        "passes": entry.cost.passes,
        "part": board.info.part,
    }


def columns(name: str, value: Estimate | None) -> dict[str, float | int | None]:
    """An estimate as four columns: its mean, both ends of its interval, and of how many independent values it is."""
    return {
        name: _mean(value),
        f"{name}_low": value.low if value else None,
        f"{name}_high": value.high if value else None,
        f"{name}_n": value.n if value else None,
    }


def _mean(value: Estimate | None) -> float | None:
    return value.mean if value else None
