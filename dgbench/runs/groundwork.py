"""Which views and features a plan's trainings and runs look at, and what makes those that are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NoReturn

import numpy as np
import torch

from dgbench.core.cards import PerDomain
from dgbench.core.seals import DONE
from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import identity
from dgbench.data.cache.kept import shelf
from dgbench.data.cache.views import file_of, size_of, undrawn
from dgbench.data.domain import Dataset
from dgbench.data.splits import Rows, split, viewed
from dgbench.runs.features import FeatureBank, dimension, room_for
from dgbench.runs.jobs import Drawing, Extraction, Unit
from dgbench.runs.parts import on_features, parts_of
from dgbench.runs.room import Sight
from dgbench.runs.store import Store
from dgbench.train.spec import TrainingSpec

DRAWN = 16
"""Images that one job draws under all families, at least."""
DRAWINGS = 64
"""Jobs that draw the images of one domain for one trial, at most."""
LOOKED_AT = 1000
"""Shifted images that one job takes features of, unless one family has more: seconds of work, so that all workers have
some, and a backbone is built for many images."""

Place = tuple[str, int, str]
"""A dataset, its size, and one of its domains."""


@dataclass(frozen=True)
class Groundwork:
    """What lies below the units of a plan.

    Attributes:
        units: Each with the ids of the jobs that it waits for, in the order in which they share most.
        jobs: Those, each once, after those that it waits for itself.
        sights: What each unit looks at, by its id, whether it is there or not.
    """

    units: tuple[Unit, ...]
    jobs: tuple[Drawing | Extraction, ...]
    sights: dict[str, tuple[Sight, ...]]


def groundwork(units: Sequence[Unit], store: Store, load: Callable[[str, int], Dataset]) -> Groundwork:
    """The views and features that units look at, and the jobs that make what is missing of them.

    Args:
        units: What is to be done.
        store: Where features lie.
        load: A dataset at a size; its images are not looked at.
    """
    look = _Look(store, load)
    ordered = sorted(units, key=_together)
    seen = {unit.id: list(look.at(unit)) for unit in ordered}
    below = _Below(look.load, (one for found in seen.values() for one in found))
    jobs: dict[str, Drawing | Extraction] = {}
    waiting = []
    for unit in ordered:
        own = {job.id: job for one in seen[unit.id] for job in below.jobs(one)}
        jobs |= own
        waiting.append(replace(unit, groundwork=tuple(own)))
    sights = {id_: tuple(sight for one in found for sight in below.sights(one)) for id_, found in seen.items()}
    return Groundwork(tuple(waiting), tuple(jobs.values()), sights)


def _together(unit: Unit) -> tuple[object, ...]:
    """Units that look at the same come one after the other."""
    training = unit.training
    return (training.dataset, training.size, training.trial, training.sources)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is looked at of one domain.

    Attributes:
        training: One of those that look.
        place: The domain.
        rows: Which of its images are looked at under all shifts; None where all of them are, as they are.
        images: How many these are.
        features: By view, the ids of their features, where these are looked at in place of images.
        missing: The views whose features are not there.
        sights: The features.
    """

    training: TrainingSpec
    place: Place
    rows: Rows | None
    images: int
    features: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    sights: tuple[Sight, ...] = ()

    @property
    def on_pictures(self) -> bool:
        """Whether shifted images are looked at, now or when features are taken of them."""
        return self.rows is not None and (not self.features or bool(self.missing))


class _Look:
    """Finds out what is looked at, each piece once."""

    def __init__(self, store: Store, load: Callable[[str, int], Dataset]) -> None:
        self.store = store
        self.load = cache(load)
        self.known: dict[tuple[object, ...], _Seen] = {}

    def at(self, unit: Unit) -> Iterator[_Seen]:
        """What a unit looks at."""
        training = unit.training
        if on_features(parts_of(training)):
            for domain in dict.fromkeys((*training.shown, *(run.target for run in unit.runs if run.target))):
                yield self._once(training, domain, None)
        views = [run.views_per_domain for run in unit.runs if not run.weighs]  # nothing else looks at them
        for most in dict.fromkeys(views):
            looked_at = (self._once(training, domain, most) for domain in training.sources)
            yield from (seen for seen in looked_at if seen.images)  # of many domains some validate nothing

    def _once(self, training: TrainingSpec, domain: str, most: PerDomain | None) -> _Seen:
        heads = on_features(parts_of(training))
        network = (training.backbone, training.weights) if heads else ()
        drawn_for = (training.sources, training.trial) if heads and not training.weights else ()  # random weights are
        rows = (training.trial, training.validation, training.test, training.official) if most else ()
        key = (training.dataset, training.size, domain, most, *rows, *network, *drawn_for)
        if key not in self.known:
            self.known[key] = self._find(training, domain, most)
        return self.known[key]

    def _find(self, training: TrainingSpec, domain: str, most: PerDomain | None) -> _Seen:
        dataset, trial, rows = self.load(training.dataset, training.size), training.trial, None
        if most is not None:
            parts = split(dataset, domain, trial, training.validation, training.test, training.official)
            rows = viewed(dataset, domain, trial, parts.validation, most)
        images = len(dataset.domain(domain)) if rows is None else len(rows)
        seen = _Seen(training, (training.dataset, training.size, domain), rows, images)
        if not on_features(parts_of(training)):
            return seen
        bank = FeatureBank(training, self.store, torch.device("cpu"), _nothing)
        ids = {view: identity(bank.spec(domain, view, rows)) for view in (("clean",) if rows is None else FAMILIES)}
        size = room_for(images, dimension(training.backbone))
        sights = tuple(Sight("features", self.store.folder("features", id_) / DONE, size) for id_ in ids.values())
        missing = tuple(view for view, id_ in ids.items() if not self.store.finished("features", id_))
        return replace(seen, features=ids, missing=missing, sights=sights)


class _Below:
    """The jobs below what is looked at, each once.

    Shifted images that networks are evaluated on are drawn first and kept, as are those that several jobs take features
    of. What one job alone looks at, it draws itself as it looks.

    Args:
        load: A dataset at a size.
        seen: All that is looked at.
    """

    def __init__(self, load: Callable[[str, int], Dataset], seen: Iterable[_Seen]) -> None:
        self.load = load
        self.kept: dict[Place, Rows] = {}
        self.drawings: dict[Place, dict[int, Drawing]] = {}
        self.made: dict[_Seen, list[Drawing | Extraction]] = {}
        looks: dict[Place, list[_Seen]] = {}
        for one in dict.fromkeys(seen):
            if one.on_pictures:
                looks.setdefault(one.place, []).append(one)
        shared = {}
        for place, ones in looks.items():
            held = [one.rows for one in ones if one.rows is not None and not one.features]
            rows, counts = np.unique(
                np.concatenate([one.rows for one in ones if one.rows is not None]), return_counts=True
            )
            shared[place] = np.union1d(rows[counts > 1], np.concatenate(held)) if held else rows[counts > 1]
            if held:
                self.kept[place] = np.unique(np.concatenate(held))
        bound = shelf().bound()
        if bound is None or 2 * sum(len(FAMILIES) * self._bytes(*one) for one in shared.items()) <= bound:
            self.kept = shared

    def _bytes(self, place: Place, rows: Rows) -> int:
        """Of a file with some images of a domain under one family."""
        dataset, size, domain = place
        return size_of(self.load(dataset, size), domain, rows)

    def sights(self, seen: _Seen) -> tuple[Sight, ...]:
        """What is held for those who look."""
        if seen.features:
            return seen.sights
        dataset, size, domain = seen.place
        known, taken = self.load(dataset, size), self._bytes(seen.place, self.kept[seen.place])
        return tuple(Sight("cache", file_of(known, domain, family), taken) for family in FAMILIES)

    def jobs(self, seen: _Seen) -> list[Drawing | Extraction]:
        """What makes that which is missing of what is looked at."""
        if seen not in self.made:
            drawings = list(self._drawings(seen)) if seen.on_pictures else []
            self.made[seen] = [*drawings, *_extractions(seen, tuple(job.id for job in drawings))]
        return self.made[seen]

    def _drawings(self, seen: _Seen) -> Iterator[Drawing]:
        dataset, size, domain = seen.place
        assert seen.rows is not None
        rows = np.intersect1d(seen.rows, self.kept.get(seen.place, seen.rows[:0]))
        known = self.load(dataset, size)
        lacking = {family: undrawn(known, domain, rows, family) for family in FAMILIES}
        assigned = self.drawings.setdefault(seen.place, {})
        wanted = np.unique(np.concatenate(list(lacking.values()))).tolist()
        fresh = [row for row in wanted if row not in assigned]
        length = max(DRAWN, -(-len(fresh) // DRAWINGS))
        for first in range(0, len(fresh), length):
            piece = np.array(fresh[first : first + length])
            images = {family: int(np.isin(piece, found).sum()) for family, found in lacking.items()}
            families = tuple(family for family, count in images.items() if count)
            id_ = f"views of {domain} ({dataset}, {size}), {identity({'rows': piece.tolist()})}"
            job = Drawing(dataset, size, domain, families, piece, sum(images.values()), id_)
            assigned |= dict.fromkeys(piece.tolist(), job)
        yield from {assigned[row].id: assigned[row] for row in wanted}.values()


def _extractions(seen: _Seen, waits: tuple[str, ...]) -> Iterator[Extraction]:
    """Jobs of about one size that take features of what is missing."""
    domain, missing = seen.place[-1], seen.missing
    jobs = min(len(missing), -(-seen.images * len(missing) // LOOKED_AT))
    for number in range(jobs):
        views = missing[number * len(missing) // jobs : (number + 1) * len(missing) // jobs]
        id_ = f"features of {domain}, {identity({view: seen.features[view] for view in views})}"
        yield Extraction(seen.training, domain, views, seen.rows, seen.images * len(views), id_, waits)


def _nothing() -> NoReturn:
    raise AssertionError("nothing is extracted here")
