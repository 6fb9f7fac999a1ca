"""How long a plan will take here: some real steps on this machine, times the work that is left."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dgbench.core.recipe import build_part
from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import canonical
from dgbench.data.catalogue import load
from dgbench.models.network import Network
from dgbench.models.zoo import build
from dgbench.runs.execute import part_of
from dgbench.runs.launch import default_workers
from dgbench.runs.plan import Plan, RunSpec
from dgbench.runs.store import Store
from dgbench.train.evaluate import evaluating, features
from dgbench.train.loop import Parts, train
from dgbench.train.sources import Sources
from dgbench.train.spec import TrainingSpec

STEPS, SKIPPED = 12, 4
"""Steps that are timed, and how many of them only warm up."""


@dataclass(frozen=True)
class Pace:
    """Seconds an image, with as many at work as there will be workers.

    Attributes:
        learn: Of a training step with one forward-and-backward pass, optimizer and running averages included.
        look: Of an evaluation.
    """

    learn: float
    look: float


def estimate(plan: Plan, store: Store, device: torch.device, workers: int | None = None) -> float:
    """Seconds that the unfinished part of a plan will take, to within a factor of about two."""
    workers = workers or default_workers(device.type)
    paces: dict[str, Pace] = {}
    passes = plan.passes()
    seconds = 0.0
    for id_, training in plan.trainings.items():
        runs = [run for run in plan.runs.values() if run.training == id_ and not store.finished("run", run.id)]
        unfinished = not store.finished("training", id_)
        if not runs and not unfinished:
            continue
        if training.backbone not in paces:
            paces[training.backbone] = _pace(training, device, workers)
        pace = paces[training.backbone]
        if unfinished:
            learned = training.steps * training.batch_per_domain * len(training.sources) * passes.get(id_, 1.0)
            seconds += pace.learn * learned + pace.look * training.checkpoints * _validation_images(training)
        seconds += pace.look * sum(_looked_at(training, runs))
    return seconds / workers


def _looked_at(training: TrainingSpec, runs: list[RunSpec]) -> list[float]:
    """Images that are evaluated: with each set of weights once, whatever the number of predictors that share them."""
    dataset = load(training.dataset)
    views = _validation_images(training) * (1 + len(FAMILIES))
    distinct = {(canonical(run.averaging), run.target): run for run in runs}
    return [
        (views + len(dataset.domain(run.target)))
        * part_of("averaging", run.averaging, run.id).count(training.checkpoints)
        for run in distinct.values()
    ]


def _validation_images(training: TrainingSpec) -> float:
    dataset = load(training.dataset)
    return training.validation * sum(len(dataset.domain(name)) for name in training.sources)


def _pace(training: TrainingSpec, device: torch.device, workers: int) -> Pace:
    """Time real steps of ERM on the training's data, in as many threads as there will be workers."""

    def work(_: int) -> Pace:
        torch.set_num_threads(1)  # as a worker has; the setting is a thread's own
        return _timed(training, device)

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers) as pool:
            paces = list(pool.map(work, range(workers)))
    finally:
        torch.set_num_threads(threads)
    return Pace(*(sum(getattr(pace, name) for pace in paces) / workers for name in ("learn", "look")))


def _timed(training: TrainingSpec, device: torch.device) -> Pace:
    spec = replace(training, steps=STEPS, checkpoints=1, weights=None, reference=None)
    names = {"sampler": "balanced", "adapter": "full", "objective": "cross_entropy", "optimizer": "adamw"}
    parts = Parts(**{slot: build_part(slot, name, {}, "estimate") for slot, name in names.items()})  # type: ignore[arg-type]
    dataset = load(spec.dataset)
    network = Network(build(spec.backbone.removeprefix("dgbench:")), len(dataset.classes)).to(device)
    sources = Sources(spec, dataset, network.info, device)
    ticks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(spec, parts, network, sources, Path(folder), lambda step: ticks.append(_now(device)))
    learn = (ticks[-2] - ticks[SKIPPED]) / (STEPS - 2 - SKIPPED)  # the last step validates too

    images = sources.domains[0].images
    with evaluating(network):
        look = _clock(lambda: features(network, images), device)
    return Pace(learn / (spec.batch_per_domain * len(spec.sources)), look / len(images))


def _clock(work: Callable[[], object], device: torch.device) -> float:
    started = _now(device)
    work()
    return _now(device) - started


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
