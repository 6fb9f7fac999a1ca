"""What a reader must know of a sweep: what was left out, what counts twice, what a cell stands on."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from dgbench.sweeps.domainbed import Table
from dgbench.sweeps.read import Job, Sweep

_SHOWN = 3
"""Names that a line reads out."""


def found(sweep: Sweep, *, unfinished: str) -> Iterator[str]:
    """What there is, and what no table can use.

    Args:
        sweep: What was read.
        unfinished: What becomes of jobs without ``done``.
    """
    open_ = [job.folder for job in sweep.jobs if not job.finished]
    yield f"{_count(len(sweep.jobs), 'job')} in {sweep.folder}, {len(sweep.jobs) - len(open_)} of them finished."
    if open_:
        yield f"{_count(len(open_), 'job')} without 'done' ({_listed(open_)}): {unfinished}."
    if sweep.cut:
        yield f"The last line was cut off, and is left out, in {_listed(sweep.cut)}."
    if sweep.empty:
        yield f"{_count(len(sweep.empty), 'folder')} without a record ({_listed(sweep.empty)}): nothing to read."


def repeated(jobs: Iterable[Job]) -> Iterator[str]:
    """Jobs that are there more than once, or were started twice in one folder."""
    same: dict[object, list[Job]] = defaultdict(list)
    for job in jobs:
        same[job.key].append(job)
    groups = [group for group in same.values() if len(group) > 1 or _again(group[0])]
    if groups:
        names = [" = ".join(job.folder for job in group) for group in groups]
        yield (
            f"{_count(len(groups), 'job')} done more than once, in several folders or in one ({_listed(names)}): all "
            "their checkpoints count, as in DomainBed, where the order of folders may decide; here it is that of names."
        )


def unused(jobs: Sequence[Job], at_most: int, why: str) -> Iterator[str]:
    """Jobs that hold out more domains than ``at_most``."""
    more = sum(len(job.held_out) > at_most for job in jobs)
    if more:
        yield f"{_count(more, 'job')} with {at_most + 1} or more test_envs: {why}."


def uneven(tables: Iterable[Table]) -> Iterator[str]:
    """Cells that stand on fewer trials than others of their table."""
    short = []
    for table in tables:
        trials = [cell.trials for row in table.rows.values() for cell in row if cell is not None and cell.trials]
        short += [
            f"{table.rule.name}, {table.name}, {algorithm}, {column}: {cell.trials} of {max(trials)}"
            for algorithm, row in table.rows.items()
            for column, cell in zip(table.columns, row, strict=True)
            if cell is not None and cell.trials and cell.trials < max(trials)
        ]
    if short:
        yield (
            f"{_count(len(short), 'cell')} from fewer trials than others of the table ({_listed(short, '; ')}), which "
            "DomainBed does not say."
        )


def _again(job: Job) -> bool:
    return any(after <= step for step, after in itertools.pairwise(job.steps))


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str], between: str = ", ") -> str:
    more = f"{between}and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return between.join(names[:_SHOWN]) + more
