"""Judged criteria as one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dgbench.board.judged import CriteriaBoard, JudgedTrack
from dgbench.board.render.axes import Scale
from dgbench.board.render.candidates import drawn
from dgbench.board.render.criteria import data, markdown, words
from dgbench.board.render.criteria.curves import curves
from dgbench.board.render.files import comma_separated
from dgbench.board.render.frame import ALONE
from dgbench.board.render.html import environment
from dgbench.core.files import whole
from dgbench.selection.judging import CHOICES, Choice


def write(board: CriteriaBoard, folder: Path) -> list[Path]:
    """Write all of it, each file whole or not at all.

    Args:
        board: What is written.
        folder: Gets ``criteria.html``, ``criteria.md``, and tables: ``criteria.csv``, ``curves.csv``, ``pairs.csv``,
            ``models.csv``.

    Returns:
        The paths, the page first.

    Raises:
        DiskError: it cannot be written.
    """
    texts = {"criteria.html": render(board), "criteria.md": markdown.render(board)}
    texts |= {f"{name}.csv": comma_separated(table(board)) for name, table in data.TABLES.items()}
    for name, content in texts.items():
        with whole(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return [folder / name for name in texts]


def render(board: CriteriaBoard) -> str:
    """The page."""
    return environment().get_template("criteria.html").render(
        frame=ALONE,
        board=board,
        info=board.info,
        words=words,
        choices=CHOICES,
        curves=curves,
        scale=_scale,
        panels=_panels,
    )  # fmt: skip


def _scale(track: JudgedTrack, choice: Choice) -> Scale:
    """One axis for the differences from the reference, with zero on it."""
    gains = [gain for one in track.criteria if (gain := one.choices[choice].gain) is not None]
    ends = [end for gain in gains for end in (gain.mean, gain.low, gain.high) if end is not None]
    return Scale.spanning(min([*ends, 0.0]), max([*ends, 0.0]))


def _panels(board: CriteriaBoard, track: JudgedTrack) -> list[dict[str, Any]]:
    """Every model of a track, its score against its accuracy, for each result."""
    results = [one.criterion for _, group in words.groups(track) for one in group]
    names = ["algorithm", "target", "accuracy"]
    scored = [(by, track.points.select(*names, score=by.name).drop_nulls().fill_nan(None)) for by in results]
    return drawn([(by, points.drop_nulls()) for by, points in scored], board.info.domains, track.algorithms)
