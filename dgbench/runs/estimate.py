"""How long a plan will take here: a short measurement on this machine, times the number of passes."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F

from dgbench.core.shift_families import FAMILIES
from dgbench.data.catalogue import load
from dgbench.models.network import Network
from dgbench.models.zoo import build
from dgbench.runs.launch import default_workers
from dgbench.runs.plan import Plan
from dgbench.runs.store import Store
from dgbench.train.evaluate import evaluating, features
from dgbench.train.spec import TrainingSpec

REPEATS = 5


def estimate(plan: Plan, store: Store, device: torch.device, workers: int | None = None) -> float:
    """Seconds that the unfinished part of a plan will take, to within a factor of about two.

    One forward-and-backward pass and one evaluation pass of each backbone are timed; optimizer, loading and waiting
    are not.
    """
    workers = workers or default_workers(device.type)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a worker has
    try:
        per_image: dict[str, tuple[float, float]] = {}
        passes = plan.passes()
        seconds = 0.0
        for id_, training in plan.trainings.items():
            if training.backbone not in per_image:
                per_image[training.backbone] = _time(training, device)
            learn, look = per_image[training.backbone]
            if not store.finished("training", id_):
                images = training.steps * training.batch_per_domain * len(training.sources)
                seconds += learn * images * passes.get(id_, 1.0)
            candidates = {
                (str(run.averaging), run.target)
                for run in plan.runs.values()
                if run.training == id_ and not store.finished("run", run.id)
            }
            seconds += look * sum(_images(training, target) for _, target in candidates)
    finally:
        torch.set_num_threads(threads)
    return seconds / workers


def _images(training: TrainingSpec, target: str) -> float:
    """Images that one set of weights is evaluated on: the target, and validation images under every family."""
    dataset = load(training.dataset)
    sources = sum(len(dataset.domain(name)) for name in training.sources)
    return len(dataset.domain(target)) + sources * training.validation * (1 + len(FAMILIES))


def _time(training: TrainingSpec, device: torch.device) -> tuple[float, float]:
    """Seconds an image of a training pass and of an evaluation pass."""
    n = training.batch_per_domain * len(training.sources)
    backbone = build(training.backbone.removeprefix("dgbench:"))
    network = Network(backbone, 10).to(device)
    images = torch.zeros(n, 3, backbone.size, backbone.size, dtype=torch.uint8, device=device)
    labels = torch.zeros(n, dtype=torch.long, device=device)

    def learn() -> None:
        F.cross_entropy(network(images.float()), labels).backward()  # type: ignore[no-untyped-call]

    def look() -> None:
        with evaluating(network):
            features(network, images)

    def clock(work: object) -> float:
        assert callable(work)
        work()
        started = time.perf_counter()
        for _ in range(REPEATS):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (time.perf_counter() - started) / REPEATS / n

    return clock(learn), clock(look)
