"""How long a plan will take here: what an image takes on this machine, times the images that are left.

Paces come from trainings of the plan that are finished and were done on such a machine, else from what was timed
before (``runs/paces.py``), else from a moment of timing. Pictures that are to be decoded are timed where there are any.
What a dataset's size is comes from the data, or from its card.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from statistics import median
from typing import Any

from dgbench.core.dataset_card import dataset_card
from dgbench.core.processes import cores
from dgbench.core.reader_cards import BuiltIn
from dgbench.data.cache.prepare import Format
from dgbench.data.catalogue import listing
from dgbench.data.pixels.square import squared
from dgbench.runs.counts import Counts
from dgbench.runs.pace import LEARN, Pace
from dgbench.runs.paces import drawing_pace, head_pace, network_pace
from dgbench.runs.parts import on_features, parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.store import Store
from dgbench.runs.todo import Todo
from dgbench.train.environment import processor
from dgbench.train.spec import TrainingSpec

PICTURES = 12
"""Pictures of a dataset that are decoded to see how long one takes."""
FINISHED = 9
"""Finished trainings that are looked at to see how long others will take."""

PREDICTED = 0.15
"""Seconds to load a head, to predict from features, and to note it: files, tables and digests. Measured: .1 to .2."""


@dataclass(frozen=True)
class Work:
    """What is left of a plan.

    Attributes:
        seconds: On this machine, to within a factor of about two.
        unknown: Datasets whose size nobody has told; their evaluations are not counted.
    """

    seconds: float
    unknown: tuple[str, ...]


def estimate(plan: Plan, left: Todo, store: Store, device: str, workers: int) -> Work:
    """How long what is left of a plan will take.

    Args:
        plan: What is to be there.
        left: What is to be done of it.
        store: What is there; finished trainings say how long they took.
        device: Where networks run: ``cpu``, ``cuda`` or ``mps``.
        workers: How many are at work at a time.
    """
    paces: dict[tuple[str, ...], Pace] = {}
    passes = plan.passes()
    seconds = workers * sum(_decoding(plan, *read) / cores() for read in _read(plan, left))
    draws: dict[int, float] = {}
    heads: dict[tuple[int, int], float] = {}
    extracted: set[tuple[str, ...]] = set()
    sizes = Counts(plan)
    for id_, training in plan.trainings.items():
        runs, unfinished = list(left.runs.get(id_, ())), left.trains(id_)
        if not left.at_work(id_):
            continue
        key = _key(training)
        if key not in paces:
            paces[key] = _observed(plan, left, store, device, key, passes, sizes) or network_pace(
                training, device, workers
            )
        if runs and training.size not in draws:
            draws[training.size] = drawing_pace(training.size)
        pace = paces[key]
        for name, images in sizes.views(training).items() if any(not run.weighs for run in runs) else ():
            seconds += 0.0 if name in extracted else draws[training.size] * images
            extracted.add(name)
        seconds += pace.look * sizes.seen(training, runs)
        if on_features(parts_of(training)):
            # Features are extracted once for all heads that share them.
            for name, images in sizes.feature_sets(training, runs).items():
                of = (training.backbone, training.weights or "", *name)
                seconds += 0.0 if of in extracted else pace.look * images
                extracted.add(of)
            if unfinished and training.steps:
                alike = training.domains_in_step, training.batch_per_domain
                if alike not in heads:
                    heads[alike] = head_pace(training, device)
                seconds += heads[alike] * training.steps * passes.get(id_, 1.0)
            seconds += PREDICTED * len(runs)
            continue
        if unfinished:
            learned = training.steps * training.batch * passes.get(id_, 1.0)
            seconds += pace.learn * learned + pace.look * training.checkpoints * sizes.validation(training)
            seconds += pace.look * len(training.reads()) * sizes.heard(training)
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


def _key(training: TrainingSpec) -> tuple[str, ...]:
    """What a pace depends on, beside the machine."""
    return training.backbone, str(training.size), training.precision


def _observed(
    plan: Plan,
    left: Todo,
    store: Store,
    device: str,
    key: tuple[str, ...],
    passes: dict[str, float],
    counts: Counts,
) -> Pace | None:
    """The pace of finished trainings of a plan, where they were done with the same processor, kind of device and torch.

    Of their seconds a part went into looking at held-out images.
    """
    learn = []
    learned_on = {id_: one for id_, one in plan.trainings.items() if one.merged is None and one.steps}
    alike = (id_ for id_, one in learned_on.items() if id_ not in left.first and _key(one) == key)
    for id_ in islice(alike, FINISHED):
        training, note = plan.trainings[id_], store.done("training", id_)
        if note is None or on_features(parts_of(training)) or not _here(note, device):
            continue
        learned = training.steps * training.batch * passes.get(id_, 1.0)
        learn.append(note["seconds"] / (learned + training.checkpoints * counts.validation(training) / LEARN))
    return Pace(median(learn), median(learn) / LEARN) if learn else None


def _here(note: dict[str, Any], device: str) -> bool:
    """Whether finished work was done with what this machine computes with, and its steps in one piece."""
    made = note["environment"]
    if made.keys() & {"processes", "micro_batch"}:
        return False
    on = "cuda" if made.get("accelerator") else note["device"]
    torch = note["torch"].partition("+")[0]  # what follows says how it was built
    return (made.get("processor"), torch, on) == (processor(), version("torch").partition("+")[0], device)
