"""How long do many heads on the features of a frozen backbone take, as `dgbench run` trains them: side by side?

    python scripts/measure_heads.py                # 240 linear probes of 5,001 steps, then five further objectives
    python scripts/measure_heads.py --steps 300

Twenty draws of hyperparameters, three trials, four targets: 240 trainings of each objective, on 512 features of 9,991
images in four domains and seven classes, as ResNet-18 gives of PACS. Features and labels are drawn, which changes what
is learnt and not what that takes. A process for each core takes one trial of one target after the other, with all
twenty draws at once, and writes what a training writes whose two best checkpoints are wanted. Starting the processes is
not counted.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from draw_pacs_like import CLASSES, DOMAINS
from torch import nn

from dgbench.core.decoding import AS_LOADERS
from dgbench.core.pieces import checkpoint
from dgbench.core.processes import cores
from dgbench.core.recipe import build_part, describe
from dgbench.core.registry import Slot
from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.models.network import Backbone, Network
from dgbench.runs.deterministic import ready
from dgbench.train.loop import begun
from dgbench.train.parts import Parts
from dgbench.train.sources import Features, Sources
from dgbench.train.spec import TrainingSpec
from dgbench.train.together import PAUSE, train_together

FEATURES, CHECKPOINTS, KEPT = 512, 10, 2
DRAWS, TRIALS = 20, 3
OBJECTIVES: dict[str, tuple[str, dict[str, tuple[float, float]]]] = {
    "linear probe": ("cross_entropy", {}),
    "label smoothing": ("cross_entropy", {"label_smoothing": (0.01, 0.3)}),
    "mixup": ("cross_entropy", {"mixup": (0.1, 1.0)}),
    "irm": ("irm", {"penalty_weight": (0.1, 1e4)}),
    "vrex": ("vrex", {"penalty_weight": (0.1, 1e4)}),
    "sd": ("sd", {"penalty_weight": (1e-4, 0.1)}),
}
"""The part of each objective, and between which values what is searched lies; learning rates are searched in all."""


@cache
def drawn() -> tuple[Dataset, dict[str, Features]]:
    """Labels and features of every domain; each class has a mean of its own, so that there is something to learn."""
    random = generator("heads")
    means = random.normal(size=(len(CLASSES), FEATURES)) / 4
    domains, found = [], {}
    for name, count in DOMAINS.items():
        labels = random.integers(0, len(CLASSES), count)
        domains.append(Domain(name, np.zeros((count, 1, 1, 3), np.uint8), labels, np.arange(count)))
        values = np.maximum(means[labels] + random.normal(size=(count, FEATURES)), 0)
        found[name] = Features(torch.from_numpy(values.astype(np.float32)))
    return Dataset("drawn", CLASSES, tuple(domains), ""), found


def recipes(objective: str, draws: int) -> Iterator[Parts]:
    """The parts of a search, a draw each."""
    part, searched = OBJECTIVES[objective]
    fixed: dict[Slot, tuple[str, dict[str, Any]]] = {
        "sampler": ("balanced", {"augmentation": "none"}),
        "adapter": ("linear_probe", {}),
    }
    for draw in range(draws):
        random = generator("draw", objective, draw)
        rate, *values = (
            math.exp(random.uniform(math.log(low), math.log(high))) for low, high in [(1e-3, 1e-1), *searched.values()]
        )
        chosen = fixed | {
            "objective": (part, dict(zip(searched, values, strict=True))),
            "optimizer": ("adamw", {"lr": rate, "weight_decay": 1e-2, "schedule": "cosine", "warmup": 0.1}),
        }
        yield Parts(**{slot: build_part(slot, name, given, "heads") for slot, (name, given) in chosen.items()})


def train(objective: str, target: str, trial: int, draws: int, steps: int, folder: Path) -> tuple[int, float]:
    """All draws of one objective on one target in one trial, side by side; how many came to their end, and what that
    took of a processor, in seconds."""
    began = time.process_time()
    dataset, features = drawn()
    sources = tuple(name for name in DOMAINS if name != target)
    plain = TrainingSpec(
        dataset="drawn", manifest="", sources=sources, trial=trial, validation=0.2, test=0.0, official=False, size=1,
        resize="stretch", decoding=AS_LOADERS, backbone="drawn", weights=None, pretrained_on=None, reference=None,
        parts={}, steps=steps, checkpoints=min(CHECKPOINTS, steps), batch_per_domain=32, precision="float32",
        norm_mode="frozen",
    )  # fmt: skip
    keep = [checkpoint(step) for step in plain.checkpoint_steps()[-KEPT:]]
    seen = Sources(plain, dataset, features, torch.device("cpu"))
    names = {"sampler": "balanced", "adapter": "linear_probe", "objective": OBJECTIVES[objective][0]}
    trainings = []
    for parts in recipes(objective, draws):
        described = {slot: describe(slot, names.get(slot, "adamw"), part) for slot, part in vars(parts).items()}  # type: ignore[arg-type]
        spec = replace(plain, parts=described)
        torch.manual_seed(spec.seed("head"))
        network = Network(Backbone("drawn", nn.Identity(), FEATURES, 1, (0.5,) * 3, (0.5,) * 3), len(CLASSES))
        trainings.append(begun(spec, parts, network, seen, folder / spec.id, keep, PAUSE))
    done = len(trainings) - len(train_together(trainings))
    return done, time.process_time() - began


def seconds(pool: ProcessPoolExecutor, objective: str, draws: int, trials: int, steps: int) -> tuple[float, float, int]:
    """By the clock, and of all processors, of a whole search; and how many trainings it had."""
    cells = list(itertools.product(DOMAINS, range(trials)))
    with tempfile.TemporaryDirectory() as temporary:
        begin = time.perf_counter()
        asked = [pool.submit(train, objective, *cell, draws, steps, Path(temporary)) for cell in cells]
        did, processors = (sum(each) for each in zip(*(one.result() for one in asked), strict=True))
        took = time.perf_counter() - begin
    if did < draws * len(cells):
        raise SystemExit(f"{objective}: {draws * len(cells) - did} trainings did not come to their end")
    return took, processors, int(did)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5001, help="of a training (default: 5,001)")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of hyperparameters (default: 20)")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each target (default: 3)")
    parser.add_argument("--objective", action="append", choices=OBJECTIVES, help="only this; repeat for several")
    parser.add_argument("--workers", type=int, default=cores(), help="processes (default: one for each core)")
    asked = parser.parse_args(given)
    pool = ProcessPoolExecutor(asked.workers, get_context("spawn"), ready, ("cpu",))
    with pool:
        for _ in pool.map(warm, range(4 * asked.workers)):
            pass
        print(f"{asked.workers} processes; load before: {os.getloadavg()[0]:.1f}")
        print("| heads | trainings | steps of each | seconds | of processors, seconds | µs of a processor, a step |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for objective in asked.objective or OBJECTIVES:
            took, processors, trainings = seconds(pool, objective, asked.draws, asked.trials, asked.steps)
            each = 1e6 * processors / (trainings * asked.steps)
            row = (objective, trainings, f"{asked.steps:,}", f"{took:,.1f}", f"{processors:,.1f}", f"{each:.0f}")
            print(f"| {' | '.join(map(str, row))} |", flush=True)


def warm(number: int) -> None:
    """Draw the features, where a process has none yet."""
    drawn()
    time.sleep(0.05)  # so that each process gets some


if __name__ == "__main__":
    main()
