"""What it takes to tell algorithms apart, as a table and as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from dgbench.board.power import Needs, Powered
from dgbench.board.render.figures import SHARES, Figures, own
from dgbench.selection.power import MOST, POWER
from dgbench.selection.statistics import LEVEL

HEADER = ("Pair", "Difference", "Trials", "Found now", "Needs on the board", "Needs alone")
READING = (
    "Difference: of the first from the second, in points, over the trials that both have, with its "
    f"{100 * LEVEL:.0f} % interval.",
    f"Found now: the smallest true difference that these trials would separate on the board with a probability of "
    f"{100 * POWER:.0f} %.",
    f"Needs: how many trials in all would separate the two with a probability of {100 * POWER:.0f} %, if the true "
    "difference were what was measured; in brackets, if it were at the far and at the near end of its interval. On the "
    "board Holm corrects for every pair that is not separated yet; alone are two that were settled before anybody saw "
    "a result. Who adds trials until a difference shows errs more often than that: only rules that have looks may "
    "(dgbench run --until separated).",
)


def row(one: Powered, show: Figures = SHARES) -> list[str]:
    """A comparison, as :data:`HEADER` has it."""
    return [
        f"{one.first.title} – {one.second.title}",
        show.with_margin(one.difference, sign=True),
        str(one.has),
        "–" if one.board is None else show.lost(one.board.smallest),
        "separated" if one.separated else _needs(one, one.board),
        _needs(one, one.alone),
    ]


def _needs(one: Powered, needs: Needs | None) -> str:
    """``9 (4 or more)``."""
    if needs is None:
        return "–"
    trials = f"over {MOST:,}" if needs.trials is None else str(needs.trials)
    fewest = f"over {MOST:,}" if needs.fewest is None else str(needs.fewest)
    return f"{trials} ({fewest} or more)" if needs.most is None else f"{trials} ({fewest} to {needs.most})"


def as_data(compared: Iterable[Powered], show: Figures = SHARES) -> list[dict[str, Any]]:
    """Comparisons for programs; differences are shares, or those of another headline, in its unit."""
    return [
        {
            "first": one.first.algorithm,
            "second": one.second.algorithm,
            "trials": one.has,
            "difference": difference.mean,
            "difference_low": difference.low,
            "difference_high": difference.high,
            "separated": one.separated,
            "board": one.board and dataclasses.asdict(one.board),
            "alone": one.alone and dataclasses.asdict(one.alone),
        }
        for one in compared
        for difference in (own(one.difference, show.measure),)
    ]
