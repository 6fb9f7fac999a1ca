"""How long a plan will take here: some real steps on this machine, times the work that is left.

The steps are timed on random images of the right size with random weights, so neither data nor published weights need
to be at hand; pictures that are to be decoded are timed where there are any. What a dataset's size is comes from the
data, or from its card.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dgbench.core.backbone_name import parse
from dgbench.core.dataset_card import dataset_card
from dgbench.core.processes import cores
from dgbench.core.reader_cards import BuiltIn
from dgbench.core.recipe import build_part
from dgbench.core.shift_families import FAMILIES
from dgbench.data.cache.prepare import Format
from dgbench.data.catalogue import listing
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.pixels.square import squared
from dgbench.data.shifts import shift
from dgbench.models.backbones import build
from dgbench.models.network import Network
from dgbench.runs.counts import Counts
from dgbench.runs.launch import default_workers
from dgbench.runs.parts import on_features, parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.todo import Todo
from dgbench.train.evaluate import evaluating, features
from dgbench.train.loop import Parts, train
from dgbench.train.sources import Pixels, Sources
from dgbench.train.spec import TrainingSpec

STEPS, SKIPPED = 12, 2
"""Steps that are timed at most, and how many of them only warm up."""
SECONDS = 6.0
"""No step is begun after so many seconds."""
PICTURES = 12
"""Pictures of a dataset that are decoded to see how long one takes."""
IMAGES = 16
"""Images in a timed step at most: large networks take seconds for each."""


@dataclass(frozen=True)
class Pace:
    """Seconds an image, with as many at work as there will be workers.

    Attributes:
        learn: Of a training step with one forward-and-backward pass, optimizer and running averages included.
        look: Of an evaluation.
    """

    learn: float
    look: float


@dataclass(frozen=True)
class Work:
    """What is left of a plan.

    Attributes:
        seconds: On this machine, to within a factor of about two.
        unknown: Datasets whose size nobody has told; their evaluations are not counted.
    """

    seconds: float
    unknown: tuple[str, ...]


def estimate(plan: Plan, left: Todo, device: torch.device, workers: int | None = None) -> Work:
    """How long what is left of a plan will take."""
    workers = workers or default_workers(device.type)
    paces: dict[tuple[str, int], Pace] = {}
    passes = plan.passes()
    seconds = workers * sum(_decoding(plan, *read) / cores() for read in _read(plan, left))
    draws: dict[int, float] = {}
    extracted: set[tuple[str, ...]] = set()
    sizes = Counts(plan)
    for id_, training in plan.trainings.items():
        runs, unfinished = list(left.runs.get(id_, ())), left.trains(id_)
        if not left.at_work(id_):
            continue
        key = (training.backbone, training.size)
        if key not in paces:
            paces[key] = _pace(training, device, workers)
        if runs and training.size not in draws:
            draws[training.size] = _drawing(training.size)
        pace = paces[key]
        for name, images in sizes.views(training).items() if runs else ():
            seconds += 0.0 if name in extracted else draws[training.size] * images
            extracted.add(name)
        if on_features(parts_of(training)):
            # A head's own steps cost next to nothing; its features are extracted once for all that share them.
            for name, images in sizes.feature_sets(training, runs).items():
                seconds += 0.0 if (training.backbone, *name) in extracted else pace.look * images
                extracted.add((training.backbone, *name))
            continue
        if unfinished:
            learned = training.steps * training.batch_per_domain * len(training.sources) * passes.get(id_, 1.0)
            seconds += pace.learn * learned + pace.look * training.checkpoints * sizes.validation(training)
        seconds += pace.look * sum(sizes.looked_at(training, runs))
    return Work(seconds / workers, tuple(sorted(sizes.unknown)))


def _read(plan: Plan, left: Todo) -> set[tuple[str, int]]:
    """Datasets with the sizes at which something is left to do on them."""
    return {(spec.dataset, spec.size) for id_, spec in plan.trainings.items() if left.at_work(id_)}


def _decoding(plan: Plan, dataset: str, size: int) -> float:
    """Seconds that one process would decode a dataset that is here and was not decoded before."""
    known, card = plan.datasets.get(dataset), dataset_card(dataset)
    if known is None or known.manifest is None or isinstance(card.reader, BuiltIn):
        return 0.0  # not here, or built in a moment
    if Format(known.manifest, size, card.resize, card.decoding).folder.exists():
        return 0.0
    domains = listing(dataset).domains
    sample = [(domain, row) for domain in domains for row in range(0, len(domain), max(1, len(domain) // PICTURES))]
    started = time.perf_counter()
    for domain, row in sample[:: max(1, len(sample) // PICTURES)]:
        squared(domain.pictures, row, size, card.resize, card.decoding)
    taken = time.perf_counter() - started
    return taken / len(sample[:: max(1, len(sample) // PICTURES)]) * sum(map(len, domains))


def _drawing(size: int) -> float:
    """Seconds that one process takes to draw a shifted image, on average over the families."""
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    for family in FAMILIES:
        shift(image, family, 0)  # libraries warm up
    started = time.perf_counter()
    for family in FAMILIES:
        shift(image, family, 1)
    return (time.perf_counter() - started) / len(FAMILIES)


def _pace(training: TrainingSpec, device: torch.device, workers: int) -> Pace:
    """Time real steps of ERM, in as many threads as there will be workers."""

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


class _EnoughError(Exception):
    """Enough has been timed."""


def _timed(training: TrainingSpec, device: torch.device) -> Pace:
    batch = max(1, min(training.batch_per_domain, IMAGES // len(training.sources)))
    spec = replace(
        training, steps=STEPS, checkpoints=1, batch_per_domain=batch, weights=None, reference=None, test=0.0,
        official=False, sources=training.sources[:IMAGES],
    )  # fmt: skip
    names = {"sampler": "balanced", "adapter": "full", "objective": "cross_entropy", "optimizer": "adamw"}
    parts = Parts(**{slot: build_part(slot, name, {}, "estimate") for slot, name in names.items()})  # type: ignore[arg-type]
    dataset = _noise(spec, 2 * batch)
    backbone = build(parse(spec.backbone).untrained())
    network = Network(backbone, len(dataset.classes), precision=spec.precision).to(device)
    inputs = {d.name: Pixels(d.inputs, network.info, device, resident=True) for d in dataset.domains}
    ticks = [_now(device)]

    def tick(step: int) -> None:
        ticks.append(_now(device))
        if step > SKIPPED and (step == STEPS - 1 or ticks[-1] - ticks[0] > SECONDS):
            raise _EnoughError

    with tempfile.TemporaryDirectory() as folder:
        try:
            train(spec, parts, network, Sources(spec, dataset, inputs, device), Path(folder), tick)
        except _EnoughError:
            learn = (ticks[-1] - ticks[SKIPPED]) / (len(ticks) - 1 - SKIPPED)
    with evaluating(network):
        started = _now(device)
        for held in inputs.values():
            features(network, held)
        look = _now(device) - started
    return Pace(learn / (batch * len(spec.sources)), look / sum(map(len, inputs.values())))


def _noise(spec: TrainingSpec, count: int) -> Dataset:
    """Random images in the shape of a training's data."""
    random = np.random.default_rng(0)
    rows = np.arange(count, dtype=np.int64)
    shape = (count, spec.size, spec.size, 3)
    domains = [Domain(name, random.integers(0, 256, shape, np.uint8), rows % 2, rows) for name in spec.sources]
    return assemble(spec.dataset, ("one", "other"), domains)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
