"""Timing networks and shifts on this machine, on random images: neither data nor published weights need be at hand.

A network is timed in little memory, whatever its size: its weights are views of one block of random numbers, no more
images are looked at than take a moment, and how long a large one learns follows from how long it looks. Of a small one
real steps are timed, since there the loop around the network counts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn

from dgbench.core.backbone_name import parse
from dgbench.core.recipe import build_part
from dgbench.core.shift_families import FAMILIES
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.shifts import shift
from dgbench.models.backbones import bare, build
from dgbench.models.elsewhere import Elsewhere
from dgbench.models.network import Backbone, Network, placed
from dgbench.models.weightless import weightless
from dgbench.runs.pace import LEARN, Pace
from dgbench.runs.parts import elsewhere, parts_of
from dgbench.train.evaluate import CHUNK, evaluating, features
from dgbench.train.loop import train
from dgbench.train.parts import Parts
from dgbench.train.sources import Features, Pixels, Sources
from dgbench.train.spec import TrainingSpec

STEPS, SKIPPED = 12, 2
"""Steps that are timed at most, and how many of them only warm up."""
FEATURES = 512
"""Features of an image that a head is timed on."""
IMAGES = 16
"""Images in a timed step at most."""
SECONDS = 1.0
"""Where real steps would take longer, they are not timed."""
SMALL = 10_000_000
"""Weights of a network of which real steps are timed, at most: they have gradients and moments, too."""
ENOUGH = 0.1
"""Seconds of looking that say how long an image takes."""


def timed(training: TrainingSpec, device: str, workers: int) -> Pace:
    """The pace of a training's network, to within a factor of about two, with as many at work as there are workers."""
    where = torch.device(device)
    whole = elsewhere(parts_of(training))
    domains = len(training.sources)
    networks = [
        Elsewhere(whole, training.size, 2, domains, 0, where) if whole is not None else _hollow(training, where)
        for _ in range(workers)
    ]
    look = _at_once(lambda number: _looking(networks[number], training, where), workers)
    weights = sum(p.numel() for p in networks[0].parameters())
    if whole is not None or weights > SMALL or LEARN * look * IMAGES * STEPS > SECONDS:
        return Pace(LEARN * look, look)
    return Pace(_at_once(lambda number: _learning(training, where), workers), look)


def _at_once(seconds: Callable[[int], float], workers: int) -> float:
    """The mean of what is timed in as many threads as there will be workers."""

    def work(number: int) -> float:
        torch.set_num_threads(1)  # as a worker has; the setting is a thread's own
        return seconds(number)

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers) as pool:
            return fmean(pool.map(work, range(workers)))
    finally:
        torch.set_num_threads(threads)


def _hollow(training: TrainingSpec, device: torch.device) -> Network:
    """A training's network, whose matrices share their memory."""
    with weightless():
        network = Network(bare(training.backbone), 2, precision=training.precision)
    block = torch.randn(max(p.numel() for p in network.parameters())) * 0.02
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            shape = parameter.shape
            value = torch.ones(shape) if len(shape) < 2 else block[: shape.numel()].view(shape)
            setattr(module, name, nn.Parameter(value))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, _constant(buffer))
    network.requires_grad_(False)
    return placed(network, device)


def _constant(buffer: Tensor) -> Tensor:
    """Statistics of ones, indices of zeros."""
    return torch.full(buffer.shape, int(buffer.is_floating_point()), dtype=buffer.dtype)


def _looking(network: Network, training: TrainingSpec, device: torch.device) -> float:
    """Seconds an image, as evaluations take them: in chunks, or fewer where one takes long."""
    inputs = Pixels(_noise(CHUNK, training.size), network.info, device, resident=False)
    with evaluating(network):

        def look(images: int) -> float:
            started = _now(device)
            features(network, inputs, torch.arange(images))
            return _now(device) - started

        look(1)  # libraries warm up
        images, taken = 1, look(1)
        while taken < ENOUGH and images < CHUNK:
            images = min(CHUNK, 4 * images)
            look(images)  # and again for every number of images
            taken = look(images)
        while taken < ENOUGH and images < 10 * CHUNK:
            images, taken = images + CHUNK, taken + look(CHUNK)
    return taken / images


class _EnoughError(Exception):
    """Enough has been timed."""


def _learning(training: TrainingSpec, device: torch.device) -> float:
    """Seconds an image in real steps of ERM."""
    batch = max(1, min(training.batch_per_domain, IMAGES // training.domains_in_step))
    spec = replace(_few_steps(training), batch_per_domain=batch)
    dataset = _dataset(spec, 2 * batch)
    backbone = build(parse(spec.backbone).untrained())
    network = Network(backbone, len(dataset.classes), precision=spec.precision).to(device)
    inputs = {d.name: Pixels(d.inputs, network.info, device, resident=True) for d in dataset.domains}
    return _step(spec, "full", network, Sources(spec, dataset, inputs, device), device) / (batch * len(spec.sources))


def head_step(training: TrainingSpec, device: str) -> float:
    """Seconds that one process takes for a step of a head, whose size hardly counts: operations are slow to call."""
    where = torch.device(device)
    spec = replace(_few_steps(training), precision="float32", size=1)
    dataset = _dataset(spec, 2 * spec.batch_per_domain)
    network = Network(Backbone("drawn", nn.Identity(), FEATURES, 1, (0.5,) * 3, (0.5,) * 3), len(dataset.classes))
    inputs = {d.name: Features(torch.randn(len(d), FEATURES, device=where)) for d in dataset.domains}
    seen = Sources(spec, dataset, inputs, where)
    return _at_once(lambda number: _step(spec, "linear_probe", network.to(where), seen, where), 1)


def _few_steps(training: TrainingSpec) -> TrainingSpec:
    """Steps of a training, on data that is drawn in its shape."""
    sources = training.sources[: min(IMAGES, training.domains_in_step)]
    return replace(
        training, steps=STEPS, checkpoints=1, weights=None, reference=None, test=0.0, official=False, sources=sources,
        domains_per_step=None, unlabelled=None,
    )  # fmt: skip


def _step(spec: TrainingSpec, adapter: str, network: Network, sources: Sources, device: torch.device) -> float:
    """Seconds of a step of ERM, once libraries are warm."""
    names = {"sampler": "balanced", "adapter": adapter, "objective": "cross_entropy", "optimizer": "adamw"}
    given = {"sampler": {"augmentation": "none"}} if adapter == "linear_probe" else {}
    parts = Parts(**{slot: build_part(slot, name, given.get(slot, {}), "estimate") for slot, name in names.items()})  # type: ignore[arg-type]
    ticks = [_now(device)]

    def tick(step: int) -> None:
        ticks.append(_now(device))
        if step == STEPS - 1:
            raise _EnoughError

    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
        train(spec, parts, network, sources, Path(folder), tick)
    return (ticks[-1] - ticks[SKIPPED]) / (len(ticks) - 1 - SKIPPED)


def _dataset(spec: TrainingSpec, count: int) -> Dataset:
    """Random images in the shape of a training's data."""
    rows = np.arange(count, dtype=np.int64)
    domains = [Domain(name, _noise(count, spec.size), rows % 2, rows) for name in spec.sources]
    return assemble(spec.dataset, ("one", "other"), domains)


def _noise(count: int, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Random images, ``[count, size, size, 3]``."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def drawing(size: int) -> float:
    """Seconds that one process takes to draw a shifted image, on average over the families."""
    (small,), (image,) = _noise(1, 16), _noise(1, size)
    for family in FAMILIES:
        shift(small, family, 0)  # libraries warm up
    started = time.process_time()
    for family in FAMILIES:
        shift(image, family, 1)
    return (time.process_time() - started) / len(FAMILIES)


def _now(device: torch.device) -> float:
    """On the CPU the time of this thread, which what else is at work on the machine leaves as it is."""
    if device.type == "cpu":
        return time.thread_time()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
