"""Do two processes, and micro-batches, train what one process trains at once, and how long does a step take?

    python scripts/measure_parallel.py --steps 50

Six recipes, of which each asks something else of a divided step (SAM two passes, CORAL and Fishr penalties over all
domains and a memory, PEGO a penalty of weights, DRM heads of its own), are trained on the digits three times: in one
process, in two by Gloo, and in one by micro-batches. Prints a Markdown table: by how much the last weights differ at
most, and what a step takes by the clock, relative to one process. Exits with 1 where weights differ by more than 1e-5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

import dgbench
from dgbench.core.cards import TrainingRules
from dgbench.runs.deterministic import as_worker
from dgbench.runs.execute import do_training
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.train.division import WHOLE, Division
from dgbench.train.spec import TrainingSpec

RECIPES = ("erm", "sam", "coral", "fishr", "pego", "drm")
WAYS = {"one": WHOLE, "two": Division(processes=2), "micro": Division(micro_batch=8)}
ALLOWED = 1e-5
Trained = tuple[dict[str, torch.Tensor], float]


def planned(recipe: str, backbone: str, steps: int, batch: int, rate: float) -> TrainingSpec:
    """Its training on the first target of the digits."""
    board = dgbench.rules("quick", algorithms=[f"{recipe}(lr={rate:g})"], trials=1)
    training = TrainingRules(steps=steps, checkpoints=1, batch_per_domain=batch, norm_mode="train")
    changes = {"tracks": dict.fromkeys(board.tracks, backbone), "training": training}
    return next(iter(make_plan(board.model_copy(update=changes)).trainings.values()))


def trained(spec: TrainingSpec, division: Division) -> Trained:
    """The last weights, and the seconds that its steps took, but for the first of them."""
    clock: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        do_training(spec, store, torch.device("cpu"), lambda step: clock.append(time.perf_counter()), division=division)
        (path,) = (store.folder("training", spec.id) / "weights").glob(f"{spec.steps:06d}.safetensors")
        return load_file(path), (clock[-2] - clock[0]) / max(1, spec.steps - 2)


def apart(one: Trained, other: Trained) -> float:
    """By how much weights differ at most."""
    assert one[0].keys() == other[0].keys()
    return max(float((weight - other[0][name]).abs().max()) for name, weight in one[0].items())


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 where weights differ by too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=16, help="images of a domain")
    parser.add_argument("--rate", type=float, default=5e-5, help="learning rate")
    parser.add_argument("--recipe", action="append", help="in place of the six; repeat for several")
    parser.add_argument("--backbone", default="dgbench:convnet-small", help="of all but pego, which takes vit-micro")
    asked = parser.parse_args(arguments)
    worst = 0.0
    print("| recipe | two processes: weights | a step | micro-batches: weights | a step |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with as_worker("cpu"):
        for recipe in asked.recipe or RECIPES:
            backbone = "dgbench:vit-micro" if recipe == "pego" else asked.backbone
            spec = planned(recipe, backbone, asked.steps, asked.batch, asked.rate)
            found = {way: trained(spec, division) for way, division in WAYS.items()}
            cells = []
            for way in ("two", "micro"):
                worst = max(worst, by := apart(found["one"], found[way]))
                cells += [f"{by:.1e}", f"{found[way][1] / found['one'][1]:.2f}"]
            print(f"| {recipe} | {' | '.join(cells)} |", flush=True)
    return int(worst > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
