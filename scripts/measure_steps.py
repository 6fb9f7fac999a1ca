"""What does a step of each algorithm cost, against a step of ERM in the same run?

    python scripts/measure_steps.py
    python scripts/measure_steps.py --only sam --only fishr --rounds 9 --backbone 'timm:resnet18(size=64)'

Every card that shapes a training, and needs nothing that the backbone has not, takes steps late in it, where penalties
have begun and moments are there, on random images of three source domains; images are ready, so no augmentation counts.
Its steps and ERM's take turns on one thread, in one process; what counts is CPU time. A ratio is the median over
rounds. *Passes* is what docs/algorithms.md says; a recipe whose backbone is frozen, in part or whole, costs less, since
no gradients of weights are wanted there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import cast

import torch

from dgbench.algorithms.step import Batch
from dgbench.core.cards import algorithm_card, board_card, card_names
from dgbench.core.composition import passes_of
from dgbench.core.decoding import AS_LOADERS
from dgbench.core.recipe import compose, resolve
from dgbench.models.backbones import build, facts
from dgbench.models.network import Network
from dgbench.train.auxiliary import attach_auxiliary
from dgbench.train.parts import Parts, attach
from dgbench.train.sources import Sources
from dgbench.train.spec import SHAPING, TrainingSpec
from dgbench.train.training import Training

STEPS, LATE = 1000, 950
CLASSES, DOMAINS = 7, ("one", "two", "three")


def names(backbone: str) -> Iterator[str]:
    """The cards that have steps of their own, on what the backbone offers."""
    offered = facts(backbone, fetch=False).provides
    for name in card_names("algorithms"):
        filled = algorithm_card(name).recipe.filled()
        if name != "erm" and filled.keys() & {"adapter", "objective", "optimizer"}:
            parts = resolve(compose(name), board_card("quick")).parts.values()
            if frozenset().union(*(part.needs() for part in parts)) <= offered.union(
                *(part.provides() for part in parts)
            ):
                yield name


def training(name: str, backbone: str, batch: int, folder: Path) -> Training:
    """An algorithm at work on random images."""
    resolved = resolve(compose(name), board_card("quick"))
    parts = Parts(**{slot: resolved.parts[slot] for slot in SHAPING})  # type: ignore[arg-type]
    network = Network(build(backbone), CLASSES, activation=parts.adapter.activation())
    spec = TrainingSpec(
        dataset="random", manifest="", sources=DOMAINS, trial=0, validation=0.2, test=0.0, official=False,
        size=network.info.size, resize="stretch", decoding=AS_LOADERS, backbone=backbone, weights=None,
        pretrained_on=None, reference=None, parts={slot: resolved.specs[slot] for slot in SHAPING}, steps=STEPS,
        checkpoints=1, batch_per_domain=batch, precision="float32", norm_mode="frozen",
    )  # fmt: skip
    attach(spec, parts, network)
    attach_auxiliary(spec, parts, network, [batch] * len(DOMAINS))
    sources = cast("Sources", SimpleNamespace(device=torch.device("cpu")))
    return Training(spec, parts, network, sources, folder, ())


def seconds(one: Training, step: int, batch: int) -> float:
    """CPU seconds of a step, on images that it has not seen."""
    n = batch * len(DOMAINS)
    generator = torch.Generator().manual_seed(step)
    size = one.network.info.size
    given = Batch(
        torch.randn(n, 3, size, size, generator=generator),
        torch.randint(CLASSES, (n,), generator=generator),
        torch.arange(len(DOMAINS)).repeat_interleave(batch),
        torch.arange(batch).repeat(len(DOMAINS)),
        sizes=(batch,) * len(DOMAINS),
    )
    started = time.process_time()
    one.take(step, given)
    return time.process_time() - started


def ratio(name: str, backbone: str, batch: int, rounds: int) -> float:
    """A step of an algorithm over one of ERM, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        sides = [training(which, backbone, batch, Path(folder)) for which in (name, "erm")]
        found = []
        for number in range(rounds + 1):
            own, erm = (seconds(side, LATE + number, batch) for side in sides)
            found.append(own / erm)
        return median(found[1:])  # the first warms up


def passes(name: str) -> float:
    """As docs/algorithms.md has it."""
    return passes_of(resolve(compose(name), board_card("quick")).parts)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="a card; repeat for several")
    parser.add_argument("--backbone", default="dgbench:convnet-small(size=32)")
    parser.add_argument("--batch", type=int, default=32, help="images of each source domain")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(given)
    torch.set_num_threads(1)
    print("| algorithm | passes | a step, ERM's being 1 |\n|---|---:|---:|")
    for name in asked.only or names(asked.backbone):
        found = ratio(name, asked.backbone, asked.batch, asked.rounds)
        apart = "" if abs(found / passes(name) - 1) <= 0.25 else " *"
        print(f"| `{name}` | {passes(name):g} | {found:.2f}{apart} |", flush=True)
    print("\n* more than a quarter away from its passes")


if __name__ == "__main__":
    main()
