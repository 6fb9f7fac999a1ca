"""Which views and features a plan's trainings and runs look at, and what makes those that are not there yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import NoReturn

import torch

from dgbench.core.cards import PerDomain
from dgbench.core.seals import DONE
from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import identity
from dgbench.data.cache.views import drawn, file_of, size_of
from dgbench.data.domain import Dataset
from dgbench.data.splits import Rows, split, viewed
from dgbench.runs.features import FeatureBank, dimension, room_for
from dgbench.runs.jobs import Drawing, Extraction, Unit
from dgbench.runs.parts import on_features, parts_of
from dgbench.runs.room import Sight
from dgbench.runs.store import Store
from dgbench.train.spec import TrainingSpec


@dataclass(frozen=True)
class Groundwork:
    """What lies below the units of a plan.

    Attributes:
        units: Each with the ids of the jobs that it waits for, in the order in which they share most.
        jobs: Those, each once.
        sights: What each unit looks at, by its id, whether it is there or not.
        passing: Bytes of the largest file of shifted images that several jobs take features from.
    """

    units: tuple[Unit, ...]
    jobs: tuple[Drawing | Extraction, ...]
    sights: dict[str, tuple[Sight, ...]]
    passing: int


def groundwork(units: Sequence[Unit], store: Store, load: Callable[[str, int], Dataset]) -> Groundwork:
    """The views and features that units look at, and the jobs that make what is missing of them.

    Args:
        units: What is to be done.
        store: Where features lie.
        load: A dataset at a size; its images are not looked at.
    """
    look = _Look(store, load)
    jobs: dict[str, Drawing | Extraction] = {}
    sights: dict[str, tuple[Sight, ...]] = {}
    waiting = []
    for unit in sorted(units, key=_together):
        seen = [one for part in look.at(unit) for one in part]
        sights[unit.id] = tuple(one for one in seen if isinstance(one, Sight))
        missing = {one.id: one for one in seen if not isinstance(one, Sight)}
        jobs |= missing
        waiting.append(replace(unit, groundwork=tuple(missing)))
    looks = Counter(key for job in jobs.values() if (key := _images(job)) is not None)
    shared = {key for key, count in looks.items() if count > 1}
    kept = [
        replace(job, shared=_images(job) in shared) if isinstance(job, Extraction) else job for job in jobs.values()
    ]
    passing = max((look.size(job) for job in kept if isinstance(job, Extraction) and job.shared), default=0)
    return Groundwork(tuple(waiting), tuple(kept), sights, passing)


def _images(job: Drawing | Extraction) -> tuple[object, ...] | None:
    """Whose shifted images a job looks at; None where it looks at none."""
    if job.rows is None:
        return None
    dataset, size = (job.dataset, job.size) if isinstance(job, Drawing) else (job.training.dataset, job.training.size)
    return (dataset, size, job.domain, _named(job.rows))


def _together(unit: Unit) -> tuple[object, ...]:
    """Units that look at the same come one after the other."""
    training = unit.training
    return (training.dataset, training.size, training.trial, training.sources)


class _Look:
    """Finds out what is looked at, each piece once."""

    def __init__(self, store: Store, load: Callable[[str, int], Dataset]) -> None:
        self.store = store
        self.load = cache(load)
        self.known: dict[tuple[object, ...], list[Sight | Drawing | Extraction]] = {}

    def at(self, unit: Unit) -> Iterator[list[Sight | Drawing | Extraction]]:
        """What a unit looks at, and jobs for what is missing of it."""
        training = unit.training
        shifted = self._views
        if on_features(parts_of(training)):
            shifted = self._shifted
            for domain in dict.fromkeys((*training.sources, *(run.target for run in unit.runs if run.target))):
                yield self._once(("clean", domain), training, partial(self._clean, training, domain))
        for most in dict.fromkeys(run.views_per_domain for run in unit.runs):  # nothing but runs looks at views
            for domain in training.sources:
                yield self._once((shifted.__name__, domain, most), training, partial(shifted, training, domain, most))

    def _once(
        self,
        what: tuple[object, ...],
        training: TrainingSpec,
        find: Callable[[], list[Sight | Drawing | Extraction]],
    ) -> list[Sight | Drawing | Extraction]:
        shape = (training.validation, training.test, training.official, training.backbone, training.weights)
        drawn_for = None if training.weights else (training.sources, training.trial)  # random weights are
        key = (*what, training.dataset, training.size, training.trial, *shape, drawn_for)
        if key not in self.known:
            self.known[key] = find()
        return self.known[key]

    def _rows(self, training: TrainingSpec, domain: str, most: PerDomain) -> tuple[Dataset, Rows]:
        dataset, trial = self.load(training.dataset, training.size), training.trial
        rows = split(dataset, domain, trial, training.validation, training.test, training.official).validation
        return dataset, viewed(dataset, domain, trial, rows, most)

    def _views(self, training: TrainingSpec, domain: str, most: PerDomain) -> list[Sight | Drawing | Extraction]:
        dataset, rows = self._rows(training, domain, most)
        size, found = size_of(dataset, domain, rows), list[Sight | Drawing | Extraction]()
        for family in FAMILIES:
            found.append(Sight("cache", file_of(dataset, domain, rows, family), size))
            if not drawn(dataset, domain, rows, family):
                id_ = f"views of {domain} ({training.dataset}, {training.size}) under {family}, {_named(rows)}"
                found.append(Drawing(training.dataset, training.size, domain, family, rows, id_))
        return found

    def _clean(self, training: TrainingSpec, domain: str) -> list[Sight | Drawing | Extraction]:
        dataset = self.load(training.dataset, training.size)
        return self._features(training, domain, ("clean",), None, len(dataset.domain(domain)))

    def _shifted(self, training: TrainingSpec, domain: str, most: PerDomain) -> list[Sight | Drawing | Extraction]:
        _, rows = self._rows(training, domain, most)
        return self._features(training, domain, FAMILIES, rows, len(rows))

    def size(self, job: Extraction) -> int:
        """Bytes of a file of the shifted images that a job looks at."""
        assert job.rows is not None
        return size_of(self.load(job.training.dataset, job.training.size), job.domain, job.rows)

    def _features(
        self, training: TrainingSpec, domain: str, views: Sequence[str], rows: Rows | None, images: int
    ) -> list[Sight | Drawing | Extraction]:
        bank = FeatureBank(training, self.store, torch.device("cpu"), _nothing)
        specs = {view: identity(bank.spec(domain, view, rows)) for view in views}
        size = room_for(images, dimension(training.backbone))
        found: list[Sight | Drawing | Extraction] = [
            Sight("features", self.store.folder("features", id_) / DONE, size) for id_ in specs.values()
        ]
        missing = tuple(view for view, id_ in specs.items() if not self.store.finished("features", id_))
        if missing:
            id_ = f"features of {domain}, {identity({view: specs[view] for view in missing})}"
            found.append(Extraction(training, domain, missing, rows, images * len(missing), id_))
        return found


def _nothing() -> NoReturn:
    raise AssertionError("nothing is extracted here")


def _named(rows: Rows) -> str:
    return identity({"rows": rows.tolist()})
