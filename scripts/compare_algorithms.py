"""Does one algorithm beat another? A paired answer, with its uncertainty.

    python scripts/compare_algorithms.py erm "sam + adanpc"
    python scripts/compare_algorithms.py wise_ft "wise_ft(alpha=0.8)" --trials 5

Both run on the same splits, seeds and batches of a board, on top of whatever its store already holds. Printed is the
difference of their accuracies on every target, and over all of them, with t-intervals over trials; n counts what is
independent, so targets that one training serves count once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import dgbench
from dgbench.core.errors import DGBenchError
from dgbench.runs.failures import by_kind
from dgbench.runs.progress import for_people
from dgbench.selection.statistics import Estimate


def percent(value: Estimate) -> str:
    """In percentage points, with the half-width of the interval where there is one."""
    margin = "" if value.margin is None else f" ± {100 * value.margin:.1f}"
    return f"{100 * value.mean:+.1f}{margin} (n = {value.n})"


def main() -> None:
    """Run both, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", help="a recipe, such as erm")
    parser.add_argument("second", help='another, such as "sam + adanpc"')
    parser.add_argument("--board", default="quick")
    parser.add_argument("--trials", type=int, help="in place of the board's own")
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    try:
        rules = dgbench.rules(given.board, algorithms=[given.first, given.second], trials=given.trials)
        summary = dgbench.run(rules, store=given.store, progress=for_people())
        if summary.failed:
            raise DGBenchError("; ".join(f"failed: {line}" for line in by_kind(summary.failed.values())))
        board = dgbench.leaderboard(rules, store=given.store)
        first, second = board.info.algorithms
        compared = board.compare(second, first)
    except DGBenchError as error:
        sys.exit(f"compare_algorithms: {error}")

    width = max(len(target) for target in [*compared.targets, "all targets"])
    print(f"{second} minus {first}, percentage points of accuracy, 95 % t-interval over trials, paired by cell\n")
    for target, difference in compared.targets.items():
        print(f"{target:<{width}}  {percent(difference)}")
    total = compared.total
    print(f"{'all targets':<{width}}  {percent(total)}")
    if total.error is None:
        print("\nOne trial a target says nothing about chance: give --trials 2 or more.")
    elif total.low is None or total.high is None:
        print("\nThe difference is the same in every trial, which is no measure of chance: give more --trials.")
    elif total.low > 0 or total.high < 0:
        print(f"\n{second if total.mean > 0 else first} is ahead: the interval excludes 0.")
    else:
        print("\nThe data cannot separate them: the interval contains 0.")


if __name__ == "__main__":
    main()
