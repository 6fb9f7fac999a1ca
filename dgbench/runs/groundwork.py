"""Which views and features a plan's trainings and runs want that are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

import torch

from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import identity
from dgbench.data.cache.views import drawn
from dgbench.data.domain import Dataset
from dgbench.data.splits import Rows, split
from dgbench.runs.execute import on_features, parts_of
from dgbench.runs.features import FeatureBank
from dgbench.runs.jobs import Drawing, Extraction, Unit
from dgbench.runs.store import Store
from dgbench.train.spec import TrainingSpec


def with_groundwork(
    units: Sequence[Unit], store: Store, load: Callable[[str, int], Dataset]
) -> tuple[list[Unit], list[Drawing | Extraction]]:
    """The units, each with the ids of the groundwork that it waits for, and that groundwork, each piece once."""
    found: dict[str, Drawing | Extraction] = {}
    waiting = []
    for unit in units:
        dataset = load(unit.training.dataset, unit.training.size)
        if on_features(parts_of(unit.training)):
            jobs: list[Drawing | Extraction] = list(_extractions(unit, dataset, store))
        else:
            jobs = list(_drawings(unit, dataset))
        ids = []
        for job in jobs:
            found.setdefault(job.id, job)
            ids.append(job.id)
        waiting.append(replace(unit, groundwork=tuple(ids)))
    return waiting, list(found.values())


def _validation(training: TrainingSpec, dataset: Dataset, domain: str) -> Rows:
    return split(dataset, domain, training.trial, training.validation, training.test, training.official).validation


def _drawings(unit: Unit, dataset: Dataset) -> list[Drawing]:
    """Nothing but runs looks at shifted images."""
    training, jobs = unit.training, []
    for domain in training.sources if unit.runs else ():
        rows = _validation(training, dataset, domain)
        for family in FAMILIES:
            if not drawn(dataset, domain, rows, family):
                id_ = f"views of {domain} ({training.dataset}, {training.size}) under {family}, {_named(rows)}"
                jobs.append(Drawing(training.dataset, training.size, domain, family, rows, id_))
    return jobs


def _extractions(unit: Unit, dataset: Dataset, store: Store) -> list[Extraction]:
    """All domains as they are; for runs, what validates under all shifts, too."""
    training, jobs = unit.training, []
    bank = FeatureBank(training, store, torch.device("cpu"), _nothing)
    for domain in dict.fromkeys((*training.sources, *(run.target for run in unit.runs))):
        jobs.append(_extraction(bank, domain, ("clean",), None, len(dataset.domain(domain))))
    for domain in training.sources if unit.runs else ():
        rows = _validation(training, dataset, domain)
        jobs.append(_extraction(bank, domain, FAMILIES, rows, len(rows)))
    return [job for job in jobs if job is not None]


def _extraction(
    bank: FeatureBank, domain: str, views: Sequence[str], rows: Rows | None, images: int
) -> Extraction | None:
    specs = {view: identity(bank.spec(domain, view, rows)) for view in views}
    missing = tuple(view for view, id_ in specs.items() if not bank.store.finished("features", id_))
    if not missing:
        return None
    id_ = f"features of {domain}, {identity({view: specs[view] for view in missing})}"
    return Extraction(bank.training, domain, missing, rows, images * len(missing), id_)


def _nothing() -> NoReturn:
    raise AssertionError("nothing is extracted here")


def _named(rows: Rows) -> str:
    return identity({"rows": rows.tolist()})
