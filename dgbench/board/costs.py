"""What runs cost: seconds of their trainings, with the earlier ones that are part of these, and of their predictions.

Sums are rounded once, so they are the same in whichever order the rows stand.
A probe, rounds and what is merged are part of a training; what many only start from, as a head or a backbone, is not.
"""

from __future__ import annotations

import itertools
import math

import polars as pl

from dgbench.board.leaderboard import Cost
from dgbench.runs.collect import Seconds


def cost(runs: pl.DataFrame, earlier: Seconds) -> Cost:
    """Of one training and one run, on average.

    Args:
        runs: Records of an algorithm as :mod:`dgbench.selection.records` has them.
        earlier: Of trainings that others are part of, what each of these took.
    """
    own = _seconds(runs)
    before = itertools.chain.from_iterable(earlier.get(id_, {}).values() for id_ in own)
    return Cost(
        train=math.fsum([*own.values(), *before]) / len(own),
        predict=math.fsum(runs["run_seconds"]) / runs.height,
        passes=math.fsum(runs["passes"]) / runs.height,
    )


def shared(runs: pl.DataFrame, earlier: Seconds) -> float:
    """Seconds of all runs, each training and each run counted once."""
    return math.fsum(_trained(runs, earlier)) + math.fsum(runs.unique("run")["run_seconds"])


def unshared(runs: pl.DataFrame, earlier: Seconds) -> float:
    """Seconds, had each algorithm trained and predicted for itself."""
    alone = [seconds for _, own in runs.group_by("algorithm") for seconds in _trained(own, earlier)]
    return math.fsum(alone) + math.fsum(runs["run_seconds"])


def _trained(runs: pl.DataFrame, earlier: Seconds) -> list[float]:
    """Of each training of some runs, and of each that is part of one."""
    own = _seconds(runs)
    found = dict(own)
    for id_ in own:
        found |= earlier.get(id_, {})
    return list(found.values())


def _seconds(runs: pl.DataFrame) -> dict[str, float]:
    return dict(runs.select("training", "train_seconds").iter_rows())
