"""How fast are `dgbench list`, `status`, `leaderboard` and `plan` on a large store? What it holds is drawn.

    python scripts/measure_store.py                # the quick board with 14 trials: 1,008 runs
    python scripts/measure_store.py --trials 3     # 216 runs
    python scripts/measure_store.py --board digits-all --trials 62 --draws 20 --examples 20 --pool 256   # 100,000 runs

Trainings have no weights; runs have predictions of as many examples as those of the board, or fewer (`--examples`). A
pool of predictions may be drawn, of which each run takes one, by a hard link: seals and results are those of the files
all the same. Each command is called several times; shown is the first call, which reads what the others find noted, and
the median of the others, by the clock and of processor time, and the most memory of any. Before that the board is
planned without a store, so that the cache knows its data and its networks: that is shown apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
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
from dgbench.runs.parts import part_of
from dgbench.runs.plan import Plan, RunSpec
from dgbench.runs.planning import make_plan
from dgbench.runs.predictions import TABLE
from dgbench.runs.store import Kind, Store
from dgbench.selection.predictions import PREDICTIONS, STREAM, scores_kept, summarise
from dgbench.train.spec import TrainingSpec

RESULTS = "result.json"
NOTE = {"seconds": 5.0, "device": "cpu", "torch": "none", "dgbench": "drawn", "environment": {}}


def fill(store: Store, board: BoardCard, examples: int | None = None, pool: int | None = None) -> int:
    """Write every training and every run of a board, drawn; how many runs.

    Args:
        store, board: Where, and by which rules.
        examples: At most as many of each stream; by default as many as the board has.
        pool: How many different predictions there are; by default each run has its own.
    """
    plan, random = make_plan(board), np.random.default_rng(0)
    for training in plan.trainings.values():
        folder = begun(store, "training", training)
        (folder / "history.parquet").touch()
        seal(folder, NOTE | {"initial": {"moving": None, "frozen": None}})
    made: dict[tuple[object, ...], list[Path]] = {}
    for run in plan.runs.values():
        training, folder = plan.trainings[run.training], begun(store, "run", run)
        alike = made.setdefault((training.dataset, training.sources, run.target, candidates(run, training)), [])
        if pool is None or len(alike) < pool:
            table = drawn(plan, run, random, examples)
            table.write_parquet(folder / TABLE)
            write_json(folder / RESULTS, RESULT.dump(Result.measured(summarise(table).to_dicts())))
            alike.append(folder)
        else:
            one = alike[random.integers(pool)]
            for name in (TABLE, RESULTS):
                (folder / name).hardlink_to(one / name)
        seal(folder, NOTE)
    store.write_index(board, index(plan, store.keep(board)))
    return len(plan.runs)


def begun(store: Store, kind: Kind, piece: TrainingSpec | RunSpec) -> Path:
    """The folder of a piece of work that says what it is. Nobody else is there, so nothing is locked."""
    folder = store.folder(kind, piece.id)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(piece.spec(), sort_keys=True, indent=1) + "\n")
    return folder


def candidates(run: RunSpec, training: TrainingSpec) -> tuple[int, ...]:
    """The steps of a run's candidates: two at most."""
    steps = training.checkpoint_steps()
    return steps[-min(2, part_of("averaging", run.averaging, run.id).count(len(steps))) :]


def drawn(plan: Plan, run: RunSpec, random: np.random.Generator, examples: int | None = None) -> pl.DataFrame:
    """Predictions of a run that nobody made."""
    training = plan.trainings[run.training]
    known = plan.datasets[training.dataset]
    most = sys.maxsize if examples is None else examples
    counts = {domain.name: domain.count or 0 for domain in known.domains}
    classes = plan.cards[training.dataset].class_count
    share = training.validation
    streams = [
        ("validation", name, view, min(most, int(share * counts[name])))
        for name in training.sources
        for view in ("clean", *FAMILIES)
    ]
    streams += [("target", run.target, "clean", min(most, counts[run.target]))] if run.target else []
    each = pl.DataFrame(
        [(step, *stream) for step in candidates(run, training) for stream in streams],
        [*STREAM, "count"],
        orient="row",
    ).with_columns(index=pl.int_ranges("count"))
    rows = each.explode("index", empty_as_null=False).drop("count").with_row_index("row")
    skill = random.uniform(0.2, 0.9)
    label = random.integers(0, classes, rows.height)
    right = random.random(rows.height) < skill
    prediction = np.where(right, label, (label + 1) % classes)
    confidence = random.uniform(0.4, 1, rows.height).astype(np.float32)
    names = pl.Series([f"{number:016x}" for number in range(each["count"].max() or 0)], dtype=pl.String)
    table = rows.with_columns(
        sample=names.gather(rows["index"]), label=label, prediction=prediction, confidence=confidence,
        p_label=np.where(right, confidence, (1 - confidence) / 2),
    )  # fmt: skip
    clean = rows.filter(view="clean")["row"].to_numpy()
    scores = np.full((len(clean), classes), 0.01, np.float32)
    scores[np.arange(len(clean)), prediction[clean]] = 1
    kept = scores_kept(scores, prediction[clean], "probabilities").with_columns(row=pl.Series(clean, dtype=pl.UInt32))
    table = table.join(kept, on="row", how="left", maintain_order="left").with_columns(group=pl.lit(None))
    return table.select(pl.col(name).cast(kind) for name, kind in PREDICTIONS.items())


_TIMED = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def timed(arguments: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Seconds of a command, by the clock and of the processor, and the most memory that it took, in MB."""
    command = [sys.executable, "-m", "dgbench.cli", *arguments]
    # By way of a small process: the memory of who starts a process counts as taken by that one.
    said = subprocess.run([sys.executable, "-c", _TIMED, *command], env=environment, stdout=subprocess.PIPE, text=True)
    if said.returncode:
        raise subprocess.CalledProcessError(said.returncode, arguments)
    clock, processor, memory = map(float, said.stdout.split())
    return clock, processor, memory


def main() -> None:
    """Draw, call, and print what that took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--board", default="quick")
    parser.add_argument("--trials", type=int, default=14)
    parser.add_argument("--draws", type=int, help="sets of hyperparameters; the board's own by default")
    parser.add_argument("--examples", type=int, help="most of each stream; as many as the board has by default")
    parser.add_argument(
        "--pool", type=int, help="how many different predictions there are; one for each run by default"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--store", type=Path, help="where it is drawn, once; a temporary folder by default")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = asked.store or Path(temporary)
        store, board = Store(root / "store"), rules(asked.board, trials=asked.trials, draws=asked.draws)
        if not store.root.is_dir():
            print(f"{fill(store, board, asked.examples, asked.pool)} runs", flush=True)
        environment = os.environ | {"DGBENCH_STORE": str(store.root), "DGBENCH_CACHE": str(root / "cache")}
        rest = [asked.board, "--trials", str(asked.trials), *(["--draws", str(asked.draws)] if asked.draws else [])]
        cache = "the cache of earlier calls" if (root / "cache").is_dir() else "an empty cache"
        nothing = timed(["plan", *rest], environment | {"DGBENCH_STORE": str(root / "nothing")})
        print(f"dgbench plan, no store and {cache}: {nothing[1]:.2f} s, {nothing[2]:,.0f} MB", flush=True)
        for arguments in (["list"], ["status"], ["leaderboard", *rest], ["plan", *rest]):
            first, *taken = [timed(arguments, environment) for _ in range(1 + asked.repeats)]
            clock, processor, _ = (statistics.median(values) for values in zip(*taken, strict=True))
            print(
                f"dgbench {' '.join(arguments)}: {clock:.2f} s ({processor:.2f} s of the processor), the first time "
                f"{first[0]:.2f} s ({first[1]:.2f} s); {first[2]:,.0f} MB the first time, then "
                f"{max(memory for *_, memory in taken):,.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
