"""Where algorithms stand by a number: every pair of them compared, and what follows for their ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from dgbench.selection.design import Design
from dgbench.selection.pairs import Contrasts, Pair, ranks
from dgbench.selection.statistics import Estimate, Range


@dataclass(frozen=True)
class Standing:
    """The ranked algorithms of a board, of all tracks.

    Attributes:
        results: For each of them the first that predicts the same, mostly itself: the two are one result, which is
            compared, and counts as better, once.
        contrasts: Every two results.
    """

    results: Mapping[str, str]
    contrasts: Contrasts

    @classmethod
    def of(
        cls,
        cells: Mapping[str, pl.DataFrame],
        twins: Mapping[str, str],
        design: Design,
        column: str,
        within: Range | None = None,
    ) -> Standing:
        """How algorithms stand by a column.

        Args:
            cells: For each ranked algorithm one row for each target and trial, the same for all.
            twins: For each of them the first that predicts the same.
            design: Of the board.
            column: What is compared; more is better.
            within: What values differences can take; by default those of the design.
        """
        results = {algorithm: twins[algorithm] for algorithm in cells}
        tables = {results[algorithm]: part for algorithm, part in cells.items()}
        return cls(results, design.contrasts(tables, column, within))

    def between(self, one: str, other: str) -> Estimate | None:
        """What the one has more than the other; None where they are one result, or either is not ranked."""
        if one not in self.results or other not in self.results:
            return None
        return self.contrasts.between(self.results[one], self.results[other])

    def pairs(self, track: Iterable[str]) -> tuple[Pair, ...]:
        """Every pair of results of some algorithms, corrected for each other."""
        return self.contrasts.pairs(self._results(track))

    def ranks(self, track: Iterable[str]) -> dict[str, tuple[int, int]]:
        """The best and the worst rank that each of some algorithms may have among them; nothing for the unranked."""
        found = ranks(self._results(track), self.pairs(track))
        return {algorithm: found[self.results[algorithm]] for algorithm in track if algorithm in self.results}

    def _results(self, track: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.results[algorithm] for algorithm in track if algorithm in self.results))
