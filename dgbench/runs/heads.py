"""Which trainings of a plan are heads on the same features, so that they are done side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dgbench.core.names import in_short
from dgbench.core.spec import canonical, identity
from dgbench.runs.groundwork import Groundwork
from dgbench.runs.jobs import Extraction, Together, Unit
from dgbench.runs.parts import on_features, parts_of
from dgbench.train.parts import Parts

MOST = 20
"""Trainings of one job at most: more save next to nothing, and one that is stopped loses more."""


def side_by_side(below: Groundwork, workers: int) -> tuple[list[Together], list[Unit]]:
    """Jobs that train heads, and all units, those of heads waiting for these jobs.

    Who trains beside whom changes no result; so trainings are spread over all workers.

    Args:
        below: The units, and what lies below them.
        workers: How many there are.
    """
    alike: dict[str, list[Unit]] = {}
    for unit in below.units:
        takes_steps = unit.training.merged is None and unit.training.steps
        if not unit.trained and takes_steps and _small(parts_of(unit.training)):
            alike.setdefault(_batches(unit), []).append(unit)
    together = [units for units in alike.values() if len(units) > 1]
    most = max(2, min(MOST, -(-sum(map(len, together)) // workers)))
    jobs = [_job(units[at : at + most], below) for units in together for at in range(0, len(units), most)]
    of = {unit.id: job for job in jobs for unit in job.units}
    waiting = [
        replace(unit, groundwork=(*unit.groundwork, of[unit.id].id), together=True) if unit.id in of else unit
        for unit in below.units
    ]
    return jobs, waiting


def _small(parts: Parts) -> bool:
    """Whether a training is a head on features, and the head its own weights: a text tower is no head's to hold."""
    return on_features(parts) and "text_head" not in parts.adapter.provides()


def _batches(unit: Unit) -> str:
    """What trainings have in common whose heads see the same batches; none of them waits for another."""
    spec = unit.training.spec()
    own = {"parts": {"sampler": spec["parts"]["sampler"]}, "reads": list(unit.training.reads())}
    return canonical(spec | own)


def _job(units: Sequence[Unit], below: Groundwork) -> Together:
    training, used = units[0].training, set(units[0].groundwork)
    waits = [
        job.id
        for job in below.jobs
        if isinstance(job, Extraction) and job.id in used and job.rows is None and job.domain in training.shown
    ]
    id_ = f"{len(units)} heads on {in_short(training.sources)}, {identity({'trainings': [unit.id for unit in units]})}"
    return Together(tuple(units), tuple(waits), id_)
