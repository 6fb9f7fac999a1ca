"""What do trials cost that are spent where they matter, and how often does that err? Boards of known truth, simulated.

    python scripts/simulate_looks.py                     # two Markdown tables, in half an hour
    python scripts/simulate_looks.py --boards 200 --settings emoji

Boards are those of ``simulate_statistics.py``. All algorithms have 5 trials; after 5, 8 and 12 the board is looked at,
and those get more that ``dgbench run --until separated`` gives more. Beside it stand boards of 5
and of 12 trials for all, looked at once, and what comes of testing at 5 % at every look.

Printed are: the share of boards that separate equal algorithms, where all are equal and where a quarter of them is
better; the share of boards on which one that is better than all others, which are equal, leads alone; the share of 95 %
intervals of differences that cover the true one when it is over; and the mean number of trials of an algorithm, where
all are equal and where one is better. Better is by four standard errors of a difference over 5 trials.

The second table shows what other shares of the error, and more looks, would do.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtr, stdtr, stdtrit
from simulate_statistics import Setting, Values, settings

from dgbench.selection.looks import shares
from dgbench.selection.pairs import contrasts
from dgbench.selection.power import POWER
from dgbench.selection.statistics import LEVEL

FIRST, LOOKS = 5, (5, 8, 12)
EVERY = tuple(range(5, 13))


@dataclass(frozen=True)
class Way:
    """A way to look.

    Attributes:
        title: As the table has it.
        looks: After how many trials.
        shares: Of the error, that each look has.
    """

    title: str
    looks: tuple[int, ...]
    shares: tuple[float, ...]


WAYS = (
    Way("5 trials", (5,), (1.0,)),
    Way("12 trials", (12,), (1.0,)),
    Way("looks after 5, 8, 12", LOOKS, shares(LOOKS)),
    Way("5 % at each look", LOOKS, (1.0,) * len(LOOKS)),
)
OTHERS = (
    Way("5, 8, 12: half for the last", LOOKS, shares(LOOKS)),
    Way("5, 8, 12: alike", LOOKS, (1 / 3,) * 3),
    Way("5, 8, 12: a quarter for the last", LOOKS, (3 / 8, 3 / 8, 1 / 4)),
    Way("5, 8, 12: nine tenths for the last", LOOKS, (0.05, 0.05, 0.9)),
    Way("5, 6, ..., 12: half for the last", EVERY, shares(EVERY)),
    Way("5, 6, ..., 12: alike", EVERY, (1 / len(EVERY),) * len(EVERY)),
    Way("5, 6, ..., 12: 5 % at each look", EVERY, (1.0,) * len(EVERY)),
)


@dataclass(frozen=True)
class Ended:
    """A board when it is over, pairs in the order of ``combinations``.

    Attributes:
        better: 1 where the first of a pair is shown to be better, -1 where the second is, else 0.
        trials: Of each algorithm.
        gaps: Differences, by the last look at each pair.
        halves: Half of their 95 % intervals.
    """

    better: Values
    trials: Values
    gaps: Values
    halves: Values


Errors = dict[tuple[int, bytes], tuple[Values, Values]]
"""Of pairs that were compared, by the look and by whom it saw: errors and degrees of freedom."""


def run(board: Values, way: Way, known: Errors) -> Ended:
    """A board, looked at until nothing is within reach, as :mod:`dgbench.selection.looks` has it, in arrays.

    Args:
        board: What each algorithm reaches: (algorithms, targets, trials), as many trials as the last look has.
        way: How it is looked at.
        known: Errors of this board, which do not depend on how much better some are; more of them are noted.
    """
    first, second = np.triu_indices(len(board), 1)
    trials = np.full(len(board), way.looks[0])
    gaps, errors, dfs, p, ahead = (np.zeros(len(first)) for _ in range(5))
    p += 1.0
    for place, (look, share) in enumerate(zip(way.looks, way.shares, strict=True)):
        there = trials >= look
        both = there[first] & there[second]
        means = board[:, :, :look].mean(axis=(1, 2))
        gaps[both] = (means[first] - means[second])[both]
        errors[both], dfs[both] = _errors(board, there, look, known)
        now = np.where(both & (errors > 0), 2 * stdtr(dfs, -np.abs(gaps) / np.maximum(errors, 1e-300)) / share, 1.0)
        ahead = np.where(now < p, np.sign(gaps), ahead)
        p = np.minimum(p, now)
        better = np.where(_holm(p) <= 1 - LEVEL, ahead, 0.0)
        beaten = np.union1d(first[better < 0], second[better > 0])
        level = (1 - LEVEL) * way.shares[-1] / max((better == 0).sum(), 1)
        far = np.abs(gaps) + stdtrit(np.maximum(dfs, 1.0), (1 + LEVEL) / 2) * errors
        near = both & (errors > 0) & ~np.isin(first, beaten) & ~np.isin(second, beaten)
        near[near] = _chance(far[near], errors[near], dfs[near], look, way.looks[-1], level) >= POWER
        if look == way.looks[-1] or not near.any():
            break
        trials[np.union1d(first[near], second[near])] = way.looks[place + 1]
    return Ended(better, trials, gaps, stdtrit(np.maximum(dfs, 1.0), (1 + LEVEL) / 2) * errors)


def _errors(board: Values, there: NDArray[np.bool_], look: int, known: Errors) -> tuple[Values, Values]:
    """Errors and degrees of freedom of the pairs of those that a look sees, as boards have them."""
    key = look, there.tobytes()
    if key not in known:
        values = {str(at): board[at, :, :look].tolist() for at in np.flatnonzero(there)}
        found = [(gap.error, gap.df) for gap in contrasts(values).known.values()]
        errors, dfs = np.array(found, float).reshape(-1, 2).T
        known[key] = errors, dfs
    return known[key]


def _holm(p: Values) -> Values:
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(np.minimum(p[order] * np.arange(len(p), 0, -1), 1.0))
    return adjusted


def _chance(far: Values, errors: Values, dfs: Values, has: int, most: int, level: float) -> Values:
    """As :func:`dgbench.selection.power.chance`, of many."""
    df = dfs * (most - 1) / (has - 1)
    least = stdtrit(df, 1 - level / 2)
    noncentral = far / (errors * np.sqrt(has / most))
    return np.asarray(1 - np.where(noncentral > 3 * least + 10, 0.0, nctdtr(df, noncentral, least)))


@dataclass(frozen=True)
class Found:
    """Shares of boards, of intervals, and mean numbers of trials, as above."""

    torn: float
    torn_beside: float
    leads: float
    covered: float
    trials: float
    trials_ahead: float

    def __str__(self) -> str:
        error = f"{self.torn:.3f}/{self.torn_beside:.3f}".replace("0.", ".")
        return f"{error} {self.leads:.2f} {self.covered:.3f} {self.trials:.1f}/{self.trials_ahead:.1f}"


def measure(setting: Setting, ways: Sequence[Way], boards: int, seed: int = 0) -> dict[str, Found]:
    """What each way makes of the same boards."""
    algorithms, targets, _ = setting.shape
    drawn = replace(setting, shape=(algorithms, targets, 12)).draw(np.random.default_rng(seed), boards)
    lift = _four_errors(drawn)
    if setting.step:
        lift = float(np.round(lift / setting.step) * setting.step)
    skills = {
        "equal": np.zeros(algorithms),
        "some": np.where(np.arange(algorithms) < algorithms // 4, lift, 0.0),
        "one": np.where(np.arange(algorithms) < 1, lift, 0.0),
    }
    first, second = np.triu_indices(algorithms, 1)
    true = {name: skill[first] - skill[second] for name, skill in skills.items()}
    known: list[Errors] = [{} for _ in drawn]
    found = {}
    for way in ways:
        ended = {
            name: [run(board + skill[:, None, None], way, seen) for board, seen in zip(drawn, known, strict=True)]
            for name, skill in skills.items()
        }
        covers = [np.abs(one.gaps - true[name]) <= one.halves for name in skills for one in ended[name]]
        found[way.title] = Found(
            float(np.mean([one.better.any() for one in ended["equal"]])),
            float(np.mean([one.better[true["some"] == 0].any() for one in ended["some"]])),
            float(np.mean([(one.better[first == 0] > 0).all() for one in ended["one"]])),
            float(np.mean(covers)),
            float(np.mean([one.trials for one in ended["equal"]])),
            float(np.mean([one.trials for one in ended["one"]])),
        )
    return found


def _four_errors(drawn: Values) -> float:
    """Four standard errors of the difference of two algorithms over the first trials."""
    means = drawn[..., :FIRST].mean(axis=(2, 3))
    gaps = np.abs(means[:, :, None] - means[:, None, :])[:, *np.triu_indices(means.shape[1], 1)]
    return float(4 * np.median(gaps) / 0.6745)  # the median of |z| of a normal


def main() -> None:
    """Simulate, and print a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=1000)
    known = settings()
    chosen = ("equal", "unequal", "heavy", "diverging", "quick", "emoji", "once")
    parser.add_argument("--settings", nargs="*", choices=list(known), default=list(chosen))
    parser.add_argument("--others", choices=list(known), default="emoji", help="the setting of the second table")
    arguments = parser.parse_args()
    print(f"{arguments.boards} boards; error where all are equal/where some are better, one leads, covered, trials\n")
    print(f"| setting | algorithms, targets | {' | '.join(way.title for way in WAYS)} |")
    print(f"| --- | --- |{' --- |' * len(WAYS)}")
    for name in arguments.settings:
        found = measure(known[name], WAYS, arguments.boards)
        shape = ", ".join(map(str, known[name].shape[:2]))
        title = known[name].title
        print(f"| {title} | {shape} | {' | '.join(map(str, found.values()))} |", flush=True)
    print("\nOther shares and looks\n\n| looks | |\n| --- | --- |")
    for title, one in measure(known[arguments.others], OTHERS, arguments.boards).items():
        print(f"| {title} | {one} |", flush=True)


if __name__ == "__main__":
    main()
