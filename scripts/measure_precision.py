"""What bfloat16 changes on a board, and what it saves: the same trainings in both precisions, compared in pairs.

    python scripts/measure_precision.py own -d shapes
    python scripts/measure_precision.py emoji --algorithms linear_probe --trials 5

Each algorithm is run in float32 and in bfloat16, in trials that draw the same splits, heads and batches, in a store
that is thrown away. The models that the board's criterion chooses are compared on the targets: in every trial the
accuracy in bfloat16 minus that in float32, averaged over targets, and over trials their mean with its 95 % t-interval;
and how many predictions are of another class. Then the time of an evaluation on one core, the precisions in turns.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import polars as pl
import torch
from scipy.stats import t

import dgbench
from dgbench.core.backbone_name import parse
from dgbench.core.cards import BoardCard
from dgbench.core.errors import DGBenchError
from dgbench.core.memory import keeping_large_blocks
from dgbench.core.precision import Precision
from dgbench.models.backbones import build
from dgbench.models.network import Network
from dgbench.runs.progress import for_people
from dgbench.train.environment import bfloat16, processor
from dgbench.train.evaluate import evaluating

LEVEL = 0.95
IMAGES, TURNS = 16, 5
"""Images in a timed evaluation, and how often each precision is timed."""
CELL = ["algorithm", "target", "trial"]


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """The mean of differences, at least two, and half the length of its t-interval."""
    half = t.ppf((1 + LEVEL) / 2, len(differences) - 1) * statistics.stdev(differences) / math.sqrt(len(differences))
    return statistics.mean(differences), float(half)


def predicted(rules: BoardCard, precision: Precision, store: Path, workers: int | None) -> pl.DataFrame:
    """What the chosen models predict of targets: ``algorithm, target, trial, sample, label, prediction``."""
    training = rules.training.model_copy(update={"precision": precision})
    board = rules.model_copy(update={"training": training})
    summary = dgbench.run(board, store=store, device="cpu", workers=workers, progress=for_people())
    if summary.failed:
        raise DGBenchError("; ".join(f"training {id_} failed: {error}" for id_, error in summary.failed.items()))
    chosen = dgbench.select(board, store=store).cells.lazy()
    found = dgbench.predictions(board, store=store).filter(pl.col("split") == "target")
    found = found.join(chosen, on=[*CELL, "draw", "step"], how="semi")
    return found.select(*CELL, "sample", "label", "prediction").collect()


def report(full: pl.DataFrame, half: pl.DataFrame) -> None:
    """A line for each algorithm, of predictions in float32 and in bfloat16."""
    pairs = full.join(half, on=[*CELL, "sample", "label"], suffix="_half", validate="1:1")
    right = [(pl.col(name) == pl.col("label")).mean() for name in ("prediction", "prediction_half")]
    cells = pairs.group_by(CELL, maintain_order=True).agg(float32=right[0], bfloat16=right[1])
    trials = cells.group_by("algorithm", "trial", maintain_order=True).agg(pl.mean("float32", "bfloat16"))
    print("| algorithm | float32 | bfloat16 | difference | other predictions |")
    print("|---|---:|---:|---:|---:|")
    for (name,), rows in trials.group_by("algorithm", maintain_order=True):
        accuracies = {each: [100 * value for value in rows[each].to_list()] for each in get_args(Precision)}
        mean, width = interval([b - a for a, b in zip(*accuracies.values(), strict=True)])
        own = pairs.filter(pl.col("algorithm") == name)
        other = own.filter(pl.col("prediction") != pl.col("prediction_half")).height
        means = " | ".join(f"{statistics.mean(values):.2f}" for values in accuracies.values())
        print(f"| {name} | {means} | {mean:+.2f} ± {width:.2f} | {other:,} of {own.height:,} |")


def pace(backbone: str) -> dict[Precision, float]:
    """Milliseconds of one core that an image takes in an evaluation, by the precision: medians of turns."""
    built = build(parse(backbone))
    x = torch.randn(IMAGES, 3, built.size, built.size).to(memory_format=torch.channels_last)
    taken: dict[Precision, list[float]] = {precision: [] for precision in get_args(Precision)}
    for _ in range(1 + TURNS):  # the first warms up
        for precision, times in taken.items():
            network = Network(built, 2, precision=precision)
            network.to(memory_format=torch.channels_last)
            with evaluating(network), keeping_large_blocks():
                started = time.process_time()
                network.features(x)
                times.append(1000 * (time.process_time() - started) / IMAGES)
    return {precision: statistics.median(times[1:]) for precision, times in taken.items()}


def main() -> None:
    """Run, compare, time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("board")
    parser.add_argument("--dataset", "-d", nargs="+", help="in place of the board's own")
    parser.add_argument("--algorithms", nargs="+", help="in place of the board's own")
    parser.add_argument("--backbone", help="in place of the board's own")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    if given.trials < 2:
        sys.exit("measure_precision: --trials must be at least 2")
    try:
        rules = dgbench.rules(
            given.board,
            datasets=given.dataset,
            algorithms=given.algorithms,
            backbone=given.backbone,
            trials=given.trials,
            draws=1,
            keep="none",
        )
        with tempfile.TemporaryDirectory() as store:
            full, half = (predicted(rules, each, Path(store), given.workers) for each in get_args(Precision))
    except DGBenchError as error:
        sys.exit(f"measure_precision: {error}")
    print(f"\nBoard '{rules.name}' on {', '.join(rules.dataset)}, {rules.trials} trials, accuracy in %\n")
    report(full, half)
    torch.set_num_threads(1)
    print(f"\nAn evaluation, ms an image, on {processor()} (bfloat16 by {bfloat16('cpu') or 'emulation'})\n")
    for backbone in dict.fromkeys(rules.tracks.values()):
        print(f"* {backbone}: {', '.join(f'{ms:.1f} in {name}' for name, ms in pace(backbone).items())}")


if __name__ == "__main__":
    main()
