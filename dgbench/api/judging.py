"""The public function that judges what selects models.

    judged = dgbench.criteria("criteria-digits")
    print(judged.said)                      # whether augmented validation chooses better than source validation
    judged.to_polars()                      # every criterion by what it chooses, with intervals and ranks
    judged.write(Path("judged"))            # a page with plots, Markdown and tables

Boards and the store are given as for :mod:`dgbench.api.boards`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import polars as pl

from dgbench.api.boards import Board, beside, rules, with_submitted
from dgbench.board import judged
from dgbench.board.render.criteria import data, page, words

Table = Literal["criteria", "curves", "pairs", "models"]
"""The tables of a board's criteria, as :meth:`CriteriaBoard.to_polars` gives them."""


@dataclass(frozen=True, repr=False, eq=False)
class CriteriaBoard(judged.CriteriaBoard):
    """The criteria of a board, ranked as its algorithms are.

    Attributes:
        info: The rules.
        tracks: Each judged for itself.
        missing: How many of the board's runs are not finished.
        failed: The runs that were tried and failed.
        provenance: What the numbers were computed with.
    """

    @property
    def said(self) -> list[str]:
        """Whether augmented validation chooses better than source validation, in words that intervals back."""
        return words.headline(self)

    def to_polars(self, table: Table = "criteria") -> pl.DataFrame:
        """A table: what each choice by each ``criteria`` is worth; ``curves`` over the size of a search; ``pairs``;
        ``models``, with their accuracy on the target and their score by each criterion, of which all else follows."""
        return data.TABLES[table](self)

    def write(self, folder: Path) -> list[Path]:
        """Write a page that opens from disk, Markdown, and every table as comma-separated values.

        Raises:
            DiskError: they cannot be written.
        """
        return page.write(self, folder)


def criteria(board: Board, *, store: Path | str | None = None, submissions: Path | None = None) -> CriteriaBoard:
    """How well each criterion chooses on a board: hyperparameters, the method, and both at once.

    Args:
        board: Name, path or rules.
        store: Where finished work is kept.
        submissions: Where those to the board lie; by default beside its ``board.toml``, and nowhere for rules.

    Raises:
        StoreError: nothing is there, or a file cannot be read.
    """
    made = judged.judged(with_submitted(rules(board), store, beside(board, submissions)))
    return CriteriaBoard(**{part.name: getattr(made, part.name) for part in fields(made)})
