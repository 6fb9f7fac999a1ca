"""How well each criterion picked on each track of a board, trial by trial."""

from __future__ import annotations

import polars as pl

from dgbench.board.leaderboard import BoardInfo
from dgbench.core.errors import DGBenchError
from dgbench.selection.criteria import Criterion, at_hand
from dgbench.selection.design import Design
from dgbench.selection.quality import Judged, Quality, quality
from dgbench.selection.records import Indicators


class Judging:
    """Judges criteria by the trials that all algorithms have, and notes why one could not be judged.

    Args:
        info: The rules.
    """

    def __init__(self, info: BoardInfo) -> None:
        self._info = info
        self._found: dict[str, dict[Criterion, list[Judged] | str]] = {}

    def look(self, metrics: pl.DataFrame, runs: pl.DataFrame, indicators: Indicators) -> None:
        """Judge by the records of some more trials: arguments as for :meth:`dgbench.selection.quality.Judged.of`."""
        shared = pl.col("trial") < self._info.trials
        for (track,), members in metrics.filter(shared).group_by("track"):
            own = runs.filter(pl.col("algorithm").is_in(members["algorithm"].unique().implode()), shared)
            there = at_hand(members, self._info.headline)
            found = self._found.setdefault(str(track), {one: [] for one in there if not one.uses_target})
            for criterion, before in found.items():
                if not isinstance(before, str):
                    try:
                        before.append(Judged.of(members, own, criterion, indicators))
                    except DGBenchError as error:
                        found[criterion] = str(error)

    def of(self, design: Design) -> dict[str, tuple[tuple[Quality, ...], dict[str, str]]]:
        """What was seen, by track: how well criteria picked, and by the titles of others why they were not judged.

        What is told is let go: of many runs it is large.
        """
        told = {}
        for track, found in self._found.items():
            qualities, refusals = [], {}
            for criterion, of in found.items():
                if isinstance(of, str):
                    refusals[criterion.title] = of
                else:
                    qualities.append(quality(of, criterion, design))
                    of.clear()
            told[track] = tuple(qualities), refusals
        return told
