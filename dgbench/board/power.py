"""How many trials the comparisons of a board need, by what its trials have measured (:mod:`dgbench.selection.power`).

A pair may be tested on the board, where Holm's procedure corrects for every pair that is not separated and a look has
its share of the error; or alone, as two that were settled before anybody looked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dgbench.board.leaderboard import Entry, Leaderboard, Track
from dgbench.core.errors import StoreError, UnknownNameError
from dgbench.selection.looks import shares
from dgbench.selection.power import needed, smallest
from dgbench.selection.statistics import LEVEL, Estimate


@dataclass(frozen=True)
class Needs:
    """What a comparison needs at one level.

    Attributes:
        level: Of the test, two-sided.
        smallest: The smallest true difference that the trials that there are find with a probability of 80 %.
        trials: How many trials in all find a difference as large as the measured one, with that probability; None where
            1,000 do not.
        fewest: The same if the true difference were at the far end of its interval.
        most: The same at its near end; None also where the interval holds 0, so that no number of trials may do.
    """

    level: float
    smallest: float
    trials: int | None
    fewest: int | None
    most: int | None

    @classmethod
    def of(cls, gap: Estimate, has: int, level: float) -> Needs:
        """At a level.

        Args:
            gap: What was measured; its error is above 0.
            has: In how many trials.
            level: Of the test.
        """
        assert gap.margin is not None
        far, near = abs(gap.mean) + gap.margin, max(abs(gap.mean) - gap.margin, 0.0)
        trials, fewest, most = (needed(difference, gap, has, level) for difference in (abs(gap.mean), far, near))
        return cls(level, smallest(gap, level), trials, fewest, most)


@dataclass(frozen=True)
class Powered:
    """Two algorithms, and what it takes to tell them apart.

    Attributes:
        first, second: How they stand.
        difference: What the first has more than the second, on the trials that both have.
        has: How many these are.
        separated: Whether the board separates them.
        board: What it takes on the board; None where they are on different tracks, which are ranked apart, or chance
            cannot be measured.
        alone: What it takes of the two alone; None where chance cannot be measured.
    """

    first: Entry
    second: Entry
    difference: Estimate
    has: int
    separated: bool
    board: Needs | None
    alone: Needs | None


def power(board: Leaderboard, algorithms: Sequence[str] | None = None) -> tuple[Powered, ...]:
    """What it takes to separate algorithms.

    Args:
        board: On which they are.
        algorithms: Every two of these; by default, on each track, every one against the reference, and of those that
            may be the best the one with the highest mean against each other.

    Raises:
        UnknownNameError: one of them is not on the board.
        StoreError: they cannot be compared: one is not ranked, or they predict the same.
    """
    entries = {entry.algorithm: entry for entry in board.entries}
    if algorithms is None:
        asked = list(dict.fromkeys(pair for track in board.tracks for pair in _usual(track, board)))
    else:
        for name in algorithms:
            if name not in entries:
                raise UnknownNameError("algorithm on this board", name, entries)
        asked = list(itertools.combinations(dict.fromkeys(algorithms), 2))
    return tuple(_powered(board, entries[one], entries[other]) for one, other in asked)


def _usual(track: Track, board: Leaderboard) -> Iterator[tuple[str, str]]:
    ranked = [entry.algorithm for entry in track.entries if entry.rank is not None and entry.same_as is None]
    reference = board.info.reference
    if reference in ranked:
        yield from ((name, reference) for name in ranked if name != reference)
    leaders = [entry.algorithm for entry in track.entries if entry.rank == 1 and entry.same_as is None]
    yield from ((leaders[0], name) for name in leaders[1:] if reference not in (leaders[0], name))


def _powered(board: Leaderboard, first: Entry, second: Entry) -> Powered:
    gap = board.standing.between(first.algorithm, second.algorithm)
    if gap is None:
        for entry in (first, second):
            if entry.rank is None:
                raise StoreError(f"'{entry.algorithm}' is not ranked: runs are missing; 'dgbench run' does them")
        raise StoreError(f"'{first.algorithm}' and '{second.algorithm}' predict the same: no trials separate them")
    has = min(first.trials, second.trials)
    pairs = next((t.pairs for t in board.tracks if all(one in t.entries for one in (first, second))), None)
    names = {board.standing.results[entry.algorithm] for entry in (first, second)}
    separated = any({pair.first, pair.second} == names and pair.better is not None for pair in pairs or ())
    if gap.margin is None:
        return Powered(first, second, gap, has, separated, None, None)
    on_board = None
    if pairs is not None:
        share = shares(board.info.looks)[-1] if board.info.looks else 1.0
        level = (1 - LEVEL) * share / max(sum(pair.better is None for pair in pairs), 1)
        on_board = Needs.of(gap, has, level)
    return Powered(first, second, gap, has, separated, on_board, Needs.of(gap, has, 1 - LEVEL))
