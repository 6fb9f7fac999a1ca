"""Do the targets of a trial share chance? Intervals on a leaderboard take them as independent.

    python scripts/measure_independence.py --trials 30
    python scripts/measure_independence.py --backbone dgbench:convnet-small --trials 30

Every algorithm is run on the quick board's rules (digits, one domain left out), in many trials, with the weights of its
last step. Accuracies are centred and scaled over the trials of each target. What is left is chance, and the share of
its variance that the targets of a trial have in common is their correlation: the intraclass correlation of a two-way
layout,

    r = (B - W) / (B + (T - 1) W)

with B the mean square between trials and W that within them, over T targets. Its interval comes from F = B / W with
K - 1 and (K - 1)(T - 1) degrees of freedom, and is exact for normal noise (Shrout, Fleiss: Intraclass Correlations.
Psychological Bulletin 86, 1979). The variance of a board's mean is 1 + (T - 1) r times what independence says.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import f

import dgbench
from dgbench.core.cards import BoardCard, RecipeSlots, SelectionRules
from dgbench.core.errors import DGBenchError
from dgbench.runs.progress import for_people

LEVEL = 0.95


@dataclass(frozen=True)
class Correlation:
    """A correlation between the targets of a trial, and its interval."""

    r: float
    low: float
    high: float


def correlation(accuracies: NDArray[np.float64]) -> Correlation:
    """The correlation of accuracies ``[T targets, K trials]``, both at least 2."""
    z = accuracies - accuracies.mean(1, keepdims=True)
    z /= z.std(1, ddof=1, keepdims=True)
    targets, trials = z.shape
    free = (trials - 1, (trials - 1) * (targets - 1))
    between = targets * z.mean(0) @ z.mean(0) / free[0]
    within = ((z - z.mean(0)) ** 2).sum() / free[1]
    ratios = [between / within / f.ppf(q, *free) for q in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)]
    r, low, high = ((ratio - 1) / (ratio + targets - 1) for ratio in (between / within, *ratios))
    return Correlation(float(r), float(low), float(high))


def board(backbone: str, algorithms: list[str], trials: int, steps: int) -> BoardCard:
    """The quick board, with one candidate for each algorithm: the last step's."""
    quick = dgbench.rules("quick", algorithms=algorithms, trials=trials)
    changes = {
        "name": "independence",
        "tracks": dict.fromkeys(quick.tracks, backbone),
        "training": quick.training.model_copy(update={"steps": steps, "checkpoints": 1}),
        "defaults": RecipeSlots(),
        "selection": SelectionRules(views_per_domain=1),
    }
    return quick.model_copy(update=changes)


def measured(rules: BoardCard, store: Path | None, workers: int) -> pl.DataFrame:
    """Target accuracies: ``algorithm, target, trial, accuracy``."""
    summary = dgbench.run(rules, store=store, device="cpu", workers=workers, progress=for_people())
    if summary.failed:
        raise DGBenchError("; ".join(f"training {id_} failed: {error}" for id_, error in summary.failed.items()))
    metrics = dgbench.records(rules, store=store).metrics
    return metrics.filter(pl.col("split") == "target").select("algorithm", "target", "trial", "accuracy")


def main() -> None:
    """Run, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--backbone", default="dgbench:vit-micro@letters")
    parser.add_argument("--algorithms", nargs="+", default=["erm", "ema"])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    if given.trials < 3:
        sys.exit("measure_independence: --trials must be at least 3; below 20 the intervals are very wide")
    try:
        rules = board(given.backbone, given.algorithms, given.trials, given.steps)
        cells = measured(rules, given.store, given.workers)
    except DGBenchError as error:
        sys.exit(f"measure_independence: {error}")

    print(
        f"Correlation between the targets of a trial; {given.backbone}, {given.trials} trials, "
        f"{given.steps} steps, {LEVEL:.0%} intervals\n"
    )
    print("| algorithm | r | interval | variance of the mean |")
    print("|---|---:|---:|---:|")
    for (name,), rows in cells.group_by("algorithm", maintain_order=True):
        table = rows.pivot("target", index="trial", values="accuracy").drop("trial").to_numpy().T
        found = correlation(table)
        inflation = 1 + (len(table) - 1) * found.r
        print(f"| {name} | {found.r:+.2f} | {found.low:+.2f} to {found.high:+.2f} | x {inflation:.2f} |")


if __name__ == "__main__":
    main()
