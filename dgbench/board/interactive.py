"""A leaderboard in the hands of a script or a notebook: it shows itself, gives tables, and is computed of a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import polars as pl

from dgbench.board import leaderboard
from dgbench.board.from_records import from_records
from dgbench.board.part import in_words, part
from dgbench.board.render import files, notebook
from dgbench.core.errors import UnknownNameError
from dgbench.runs.collect import Records

if TYPE_CHECKING:
    import pandas as pd

Table = Literal["ranks", "cells", "pairs", "criteria"]
"""The tables of a leaderboard, as :meth:`Leaderboard.to_polars` gives them."""


@dataclass(frozen=True, repr=False, eq=False)
class Leaderboard(leaderboard.Leaderboard):
    """A leaderboard, as :func:`dgbench.leaderboard` computes it: who stands where, and how sure that is.

    In a notebook it shows itself as a table. It can be pickled: what it was not asked yet is then read from its store,
    whatever the working directory, and from datasets, which must be found by their names there.

        board = dgbench.leaderboard("quick")
        board.to_polars()                                      # who stands where, as a frame
        board.filter(algorithms=["erm", "sam"], track="inductive")  # ranks and intervals of these alone
        board.by("source")                                     # the same runs, models selected otherwise
        board.compare("sam", "erm").total                      # a paired difference with its interval
        board.write(Path("out"))                               # the page, Markdown, LaTeX and CSV

    Attributes:
        info: The rules.
        criterion: What selected the models.
        tracks: Each ranked for itself.
        absent: Algorithms of the board without a single finished run, but for those whose runs failed.
        failed: The runs that were tried and failed.
        cells: One row for each (algorithm, target, trial): what was chosen, and what it reached.
        design: Which of the cells are independent, and what each of them counts.
        seconds: Work that was done, each training counted once.
        seconds_unshared: Work that the same runs would have needed had each algorithm trained for itself.
        devices: What the trainings ran on.
        pictured: Draws a PNG for each domain.
        provenance: What the numbers were computed with.
        records: What all of it was computed from.
    """

    records: Records = field(kw_only=True)

    @classmethod
    def of(cls, records: Records, criterion: str | None = None) -> Leaderboard:
        """The leaderboard of a board by the records of its finished runs.

        Args:
            records: What was measured, as :func:`dgbench.records` gives it.
            criterion: What selects models, in place of the board's own.

        Raises:
            StoreError: there are no records, or not those that the rules ask for.
            RecipeError: the criterion reads target labels, or has nothing to select by.
        """
        return cls._of(from_records(records, criterion), records)

    @classmethod
    def _of(cls, made: leaderboard.Leaderboard, records: Records) -> Leaderboard:
        parts = {each.name: getattr(made, each.name) for each in fields(leaderboard.Leaderboard)}
        return cls(**parts, records=records)

    def by(self, criterion: str) -> Leaderboard:
        """The same runs, with models selected by another criterion.

        Args:
            criterion: ``source``, ``augmented``, ... (:data:`dgbench.selection.criteria.CRITERIA`).

        Raises:
            UnknownNameError: there is no such criterion.
            RecipeError: it sees something of the target, or has nothing to select by.
        """
        made = from_records(self.records, criterion, self)
        return self._of(replace(made, info=replace(made.info, part=self.info.part)), self.records)

    def filter(
        self,
        *,
        algorithms: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
        track: str | None = None,
        backbone: str | None = None,
    ) -> Leaderboard:
        """The leaderboard of a part, computed anew from the records: what rules that name no more would have given.

        Means and intervals are over the targets that are left, a rank counts the algorithms that are left, and Holm's
        correction is over their pairs alone; variances are moderated with theirs alone, and not at all where fewer
        than four are left. That is right where the part was settled before anybody saw a result, as the rules of a
        board are. Where it was picked after looking, ranks and intervals promise less than they say: of twenty equal
        algorithms the best and the worst are "separated" on 42 % of simulated boards of three trials, in place of 5 %.
        A part says that it is one wherever it is shown.
        The difference from ERM is there where ERM is.

        Args:
            algorithms: Recipes such as ``"sam + swad"``, or names of submissions.
            targets: Names as in the table's columns; where domains train alone also a domain, for each case that
                tests it.
            datasets: Names, on a board of several.
            track: ``inductive``, ``online`` or ``unlabelled``.
            backbone: As the records name it: ``board.records.runs["backbone"]``.

        Raises:
            UnknownNameError: the board has no such algorithm, target, dataset, track or backbone.
            CardError: a list is given as one text.
            StoreError: nothing is left.
        """
        kept = part(
            self.records, algorithms=algorithms, targets=targets, datasets=datasets, track=track, backbone=backbone
        )
        made = from_records(kept, self.criterion.name)
        said = ", then ".join(filter(None, (self.info.part, in_words(self.records, kept))))
        return self._of(replace(made, info=replace(made.info, part=said)), kept)

    def to_polars(self, table: Table = "ranks") -> pl.DataFrame:
        """One of the leaderboard's tables. Accuracies are shares in [0, 1], unrounded.

        Args:
            table: ``ranks``, one row for each algorithm, by track and mean; ``cells``, one for each algorithm, target
                and trial: what was chosen, and what it reached; ``pairs``, one for each pair of ranked results: the
                difference, its interval, p after Holm's correction; ``criteria``, one for each track and criterion: how
                well it selected.

        Raises:
            UnknownNameError: there is no such table.
        """
        made = {
            "ranks": lambda: files.table(self),
            "cells": lambda: self.cells,
            "pairs": lambda: files.pairs(self),
            "criteria": lambda: files.qualities(self),
        }
        if table not in made:
            raise UnknownNameError("table of a leaderboard", table, get_args(Table))
        return made[table]()

    def to_pandas(self, table: Table = "ranks") -> pd.DataFrame:
        """The same as :meth:`to_polars`, for pandas."""
        return self.to_polars(table).to_pandas()

    def write(self, folder: str | Path) -> list[Path]:
        """Write the leaderboard as a page, Markdown, LaTeX, BibTeX and CSV; each file is whole or absent.

        Args:
            folder: Where; it is made if it is not there.

        Returns:
            The paths of the files, the page ``leaderboard.html`` first.
        """
        return files.write(self, Path(folder))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return notebook.render(self)
