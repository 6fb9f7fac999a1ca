"""How long an image takes on this machine, kept in the cache from plan to plan: timing takes seconds and memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dgbench.core.backbone_name import parse
from dgbench.core.known import known, versions
from dgbench.core.shift_families import VIEWS_VERSION
from dgbench.core.spec import canonical
from dgbench.runs.pace import Drawing, Head, Pace
from dgbench.runs.parts import elsewhere, parts_of
from dgbench.train.environment import processor
from dgbench.train.spec import TrainingSpec

T = TypeVar("T")


def network_pace(training: TrainingSpec, device: str, workers: int) -> Pace:
    """The pace of a training's network in its precision; timed where it is not known."""

    def time() -> Pace:
        from dgbench.runs.timing import timed  # here, as what is known takes no torch

        return timed(training, device, workers)

    whole = elsewhere(parts_of(training)) is not None
    own = canonical(training.parts["objective"]) if whole else ""
    network = own or parse(training.backbone).untrained().canonical
    at_work = f"{workers} {'worker' if workers == 1 else 'workers'}"
    of = f"{network} at {training.size} px in {training.precision}, {at_work}, {device}, {versions('torch')}"
    return _here(of, Pace, time)


def head_pace(training: TrainingSpec, device: str) -> float:
    """Seconds of a step of a head that learns from features, for a training of as many domains; timed if not known."""
    batch = f"{training.domains_in_step} domains of {training.batch_per_domain}"

    def time() -> Head:
        from dgbench.runs.timing import head_step

        return Head(head_step(training, device))

    return _here(f"a step of a head on {batch}, {device}, {versions('torch')}", Head, time).step


def drawing_pace(size: int) -> float:
    """Seconds that one process takes to draw a shifted image, on average over the families; timed if not known."""

    def time() -> Drawing:
        from dgbench.runs.timing import drawing

        return Drawing(drawing(size))

    return _here(f"shifts at {size} px, version {VIEWS_VERSION}", Drawing, time).draw


def _here(of: str, record: type[T], time: Callable[[], T]) -> T:
    """What is known of something on this machine."""
    key = f"{of}, {processor()}"
    return known("paces/1", record, {key: time})[key]
