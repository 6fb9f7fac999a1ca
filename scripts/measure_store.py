"""How fast are `dgbench list`, `leaderboard` and `plan` on a store of a thousand runs? What it holds is drawn.

    python scripts/measure_store.py                # the quick board with 14 trials: 1,008 runs
    python scripts/measure_store.py --trials 3     # 216 runs

Trainings have no weights; runs have predictions of as many examples as those of the board. Each command is called
several times; shown is the first call, which reads what the others find noted, and the median of the others, by the
clock and of processor time.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from dgbench.api.boards import rules
from dgbench.core.cards import BoardCard
from dgbench.core.files import write_json
from dgbench.core.results import RESULT, Result
from dgbench.core.seals import seal
from dgbench.core.shift_families import FAMILIES
from dgbench.runs.index import index
from dgbench.runs.plan import Plan, RunSpec
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.selection.predictions import PREDICTIONS, scores_kept, summarise

NOTE = {"seconds": 5.0, "device": "cpu", "torch": "none", "dgbench": "drawn", "environment": {}}


def fill(store: Store, board: BoardCard) -> int:
    """Write every training and every run of a board, drawn; how many runs."""
    plan = make_plan(board)
    for training in plan.trainings.values():
        with store.claim("training", training.spec()) as folder:
            assert folder is not None
            (folder / "history.parquet").touch()
            seal(folder, NOTE | {"initial": {"moving": None, "frozen": None}})
    random = np.random.default_rng(0)
    for run in plan.runs.values():
        with store.claim("run", run.spec()) as folder:
            assert folder is not None
            table = drawn(plan, run, random)
            table.write_parquet(folder / "predictions.parquet")
            write_json(folder / "result.json", RESULT.dump(Result.measured(summarise(table).to_dicts())))
            seal(folder, NOTE)
    store.write_index(board, index(plan, store.keep(board)))
    return len(plan.runs)


def drawn(plan: Plan, run: RunSpec, random: np.random.Generator) -> pl.DataFrame:
    """Predictions of a run that nobody made."""
    training = plan.trainings[run.training]
    known = plan.datasets[training.dataset]
    counts = {domain.name: domain.count or 0 for domain in known.domains}
    classes = plan.cards[training.dataset].class_count
    share = training.validation
    streams = [
        ("validation", name, view, int(share * counts[name]))
        for name in training.sources
        for view in ("clean", *FAMILIES)
    ]
    streams += [("target", run.target, "clean", counts[run.target])] if run.target else []
    skill = random.uniform(0.2, 0.9)
    tables = []
    for step in training.checkpoint_steps()[-2:]:
        for split, domain, view, count in streams:
            label = random.integers(0, classes, count)
            right = random.random(count) < skill
            prediction = np.where(right, label, (label + 1) % classes)
            confidence = random.uniform(0.4, 1, count).astype(np.float32)
            table = pl.DataFrame(
                {
                    "index": np.arange(count), "sample": [f"{number:016x}" for number in range(count)],
                    "label": label, "prediction": prediction, "confidence": confidence,
                    "p_label": np.where(right, confidence, (1 - confidence) / 2),
                }
            ).with_columns(
                step=pl.lit(step), split=pl.lit(split), domain=pl.lit(domain), view=pl.lit(view), group=pl.lit(None)
            )  # fmt: skip
            if view == "clean":
                scores = np.full((count, classes), 0.01, np.float32)
                scores[np.arange(count), prediction] = 1
                table = table.hstack(scores_kept(scores, prediction, "probabilities"))
            missing = [pl.lit(None).alias(name) for name in PREDICTIONS if name not in table.columns]
            tables.append(table.with_columns(missing).select(PREDICTIONS.names()).cast(PREDICTIONS))
    return pl.concat(tables)


def timed(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of a command, by the clock and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "dgbench.cli", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Draw, call, and print what that took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=14)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--store", type=Path, help="where it is drawn, once; a temporary folder by default")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = asked.store or Path(temporary)
        store, board = Store(root / "store"), rules("quick", trials=asked.trials)
        print(f"{fill(store, board)} runs")
        environment = os.environ | {"DGBENCH_STORE": str(store.root), "DGBENCH_CACHE": str(root / "cache")}
        trials = ["quick", "--trials", str(asked.trials)]
        for arguments in (["list"], ["leaderboard", *trials], ["plan", *trials]):
            first, _ = timed(arguments, environment)
            taken = [timed(arguments, environment) for _ in range(asked.repeats)]
            clock, processor = (statistics.median(values) for values in zip(*taken, strict=True))
            shown = f"{clock:.2f} s ({processor:.2f} s of the processor), the first time {first:.2f} s"
            print(f"dgbench {' '.join(arguments)}: {shown}")


if __name__ == "__main__":
    main()
