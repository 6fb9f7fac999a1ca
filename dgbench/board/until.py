"""Whether a board's top is settled, and who gets the next trials where it is not.

Near the top are the algorithms of rank 1: all whom nobody is shown to beat, of whom each may be the best. Two of them
are *open*, and the top is settled where one is left. Trials go to those that are in an open pair *within reach*: where
the most trials that the rules allow would show a difference as large as the far end of its interval with a probability
of 80 %. A pair out of reach is as good as equal, as far as this board will ever tell. Whoever drops out keeps the
trials that it has. How trials are spent may follow from results: the p-values hold whatever decides about trials
(:mod:`dgbench.selection.looks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from dgbench.board.leaderboard import Entry, Leaderboard, Track
from dgbench.selection.looks import at_top, within_reach
from dgbench.selection.pairs import Pair


@dataclass(frozen=True)
class Top:
    """The top of a track.

    Attributes:
        track: Its name.
        leaders: Titles of the results of rank 1: whom nobody is shown to beat.
        behind: How many results each is beaten by some other.
        open: How many pairs of leaders are not separated.
        fewest: The fewest trials that a leader has.
        within_reach: How many of these more trials may separate.
    """

    track: str
    leaders: tuple[str, ...]
    behind: int
    open: int
    fewest: int
    within_reach: int

    @property
    def settled(self) -> bool:
        """Whether one is left whom nobody is shown to beat."""
        return len(self.leaders) == 1


@dataclass(frozen=True)
class Look:
    """What a look at a board says of going on.

    Attributes:
        board: Its name.
        trials: Of each algorithm how many it has, at this look.
        tops: Of each track.
        more: Of each algorithm that is to have more trials how many it is to have; empty where there is nothing to do.
    """

    board: str
    trials: Mapping[str, int]
    tops: tuple[Top, ...]
    more: Mapping[str, int]

    @property
    def settled(self) -> bool:
        """Whether one algorithm leads every track."""
        return all(top.settled for top in self.tops)

    def spent(self, most: int) -> bool:
        """Whether all who may be the best have the most trials."""
        return all(top.settled or top.fewest >= most for top in self.tops)


Stop = Literal["settled", "equal", "most", "budget", "failed"]
"""Why no round follows: one leads every track; no open pair is within reach; all open ones have the most trials; the
next round does not fit into the budget; trainings failed."""


@dataclass(frozen=True)
class Round:
    """A round of trials that is done, and what follows.

    Attributes:
        look: What is known after it.
        stop: Why no round follows; None where one does.
        seconds: About how long the next round takes; 0 where there is nothing to do.
        left: Seconds of the budget that are left; None where there is none.
    """

    look: Look
    stop: Stop | None
    seconds: float
    left: float | None

    @classmethod
    def of(cls, look: Look, most: int, seconds: float, left: float | None, *, failed: bool) -> Round:
        """What follows a look.

        Args:
            look: What is known.
            most: The most trials that the rules allow.
            seconds, left: As above.
            failed: Whether trainings of the round failed.
        """
        stop: Stop | None = None
        if failed:
            stop = "failed"
        elif look.settled:
            stop = "settled"
        elif not look.more:
            stop = "most" if look.spent(most) else "equal"
        elif left is not None and seconds > left:
            stop = "budget"
        return cls(look, stop, seconds, left)


def look(board: Leaderboard, able: frozenset[str]) -> Look:
    """Look at a board whose trials may grow.

    Args:
        board: As it is.
        able: The algorithms that can have more trials: those that are run here.
    """
    trials = {entry.algorithm: entry.trials for entry in board.entries}
    now = max((trials[name] for name in able if name in trials), default=board.info.trials)
    goal = next((each for each in board.info.looks if each > now), now)
    more: dict[str, int] = {}
    tops = []
    for track in board.tracks:
        reached = []
        for pair in within_reach(track.pairs, trials, board.info.looks, now):
            growing = [entry.algorithm for entry in _with_same(track, pair) if entry.trials < goal]
            if growing and able >= set(growing):
                reached.append(pair)
                more |= dict.fromkeys(growing, goal)
        results = [entry for entry in track.entries if entry.rank is not None and entry.same_as is None]
        leaders = [entry for entry in results if entry.rank == 1]
        tops.append(
            Top(
                track.name,
                leaders=tuple(entry.title for entry in leaders),
                behind=len(results) - len(leaders),
                open=len(at_top(track.pairs)),
                fewest=min((entry.trials for entry in leaders), default=0),
                within_reach=len(reached),
            )
        )
    return Look(board.info.name, trials, tuple(tops), more)


def _with_same(track: Track, pair: Pair) -> Iterator[Entry]:
    """The algorithms of a pair, and those that predict the same as one of them: these keep as many trials."""
    return (entry for entry in track.entries if {entry.algorithm, entry.same_as} & {pair.first, pair.second})
