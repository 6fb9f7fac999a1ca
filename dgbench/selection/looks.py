"""Looking at a board several times while its trials grow, without erring more often than by one look.

Who looks at growing data again and again, and stops when a difference shows, finds differences among equals: at 5 % a
look, eight looks tear equal algorithms apart three times as often. So the rules name the looks before anybody has seen
a result, K_1 < ... < K_R trials, and each has a share w_r of the error; the shares sum to 1. The p-value of a pair is

    p = min over r of p_r / w_r          p_r: of the first K_r trials, where both algorithms have them; at most 1

If two algorithms are equal, p lies below a with a probability of at most sum_r P(p_r <= a w_r) <= a (Bonferroni over
looks), however the p_r depend on each other. A look that is not taken only makes p larger. So the bound holds whatever
decided who got more trials and when it was over, and for every a, which is what Holm's procedure over pairs needs. p
only ever falls: two that were separated at a look stay so. A look at K trials sees all that have K trials or more, so
all of it follows from the records and the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dgbench.selection.pairs import Pair
from dgbench.selection.power import POWER, chance
from dgbench.selection.statistics import LEVEL, Estimate

LAST = 0.5
"""Share of the error that the last look has, by simulation: it decides most pairs, on the most trials."""


def shares(looks: Sequence[int]) -> tuple[float, ...]:
    """The share of the error of each look: half of it for the last, the other half alike for those before.

    Args:
        looks: After how many trials; one or more.
    """
    early = len(looks) - 1
    return (*([(1 - LAST) / early] * early), LAST) if early else (1.0,)


def at_top(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs that are open at the top: of two whom nobody is shown to beat, and neither of whom beats the other.

    Args:
        pairs: Every pair of some results.
    """
    listed = list(pairs)
    beaten = {pair.second if pair.better == pair.first else pair.first for pair in listed if pair.better is not None}
    return [pair for pair in listed if not {pair.first, pair.second} & beaten]


def within_reach(pairs: Sequence[Pair], trials: Mapping[str, int], looks: Sequence[int], now: int) -> list[Pair]:
    """The open pairs at the top that more trials may separate.

    A pair is within reach where the most trials would separate it with a probability of POWER if the true difference
    were at the far end of its interval. One out of reach is as good as equal, as far as these looks will ever tell; it
    does not come back, so whom a look sees is settled when it is taken.

    Args:
        pairs: Every pair of some results.
        trials: How many each result has.
        looks: After how many there are looks; the last is the most.
        now: The look that is taken; pairs that have fewer trials are out.
    """
    level = (1 - LEVEL) * shares(looks)[-1] / max(sum(pair.better is None for pair in pairs), 1)
    found = []
    for pair in at_top(pairs):
        has, gap = min(trials[pair.first], trials[pair.second]), pair.difference
        # nobody knows how one trial scatters; where several gave the same, so will more of them
        hopeful = has < 2 or (gap.margin is not None and _may_show(gap, has, looks[-1], level))
        if now <= has < looks[-1] and hopeful:
            found.append(pair)
    return found


def _may_show(gap: Estimate, has: int, most: int, level: float) -> bool:
    assert gap.margin is not None
    return chance(abs(gap.mean) + gap.margin, gap, has, most, level) >= POWER
