"""The reference benchmark's own tables of a sweep: its three criteria, its ties, its errors.

Selection (I. Gulrajani, D. Lopez-Paz, "In Search of Lost Domain Generalization", ICLR 2021, section 3, with what only
the authors' code says). A run is a set of hyperparameters for one algorithm, target and trial. Each criterion takes a
checkpoint of every run, then the run whose validation accuracy is the highest, and reports its accuracy on the target's
"in", four fifths of it::

    training domains    checkpoint with the highest mean over the source domains of accuracy on "out"
    leave one out       checkpoint with the highest mean, over the other domains v, of accuracy on "in" of v by the
                        job that held out v too, at the same step; such a job must be there for every v
    oracle              the last checkpoint; its validation accuracy is that on the target's "out"

Ties: of checkpoints the earliest, of runs the largest seed. A validation accuracy that is not a number never wins over
one that is, among runs; among checkpoints nothing wins over it where it comes first. Jobs without ``done`` count.

A cell is the mean over trials with the population's deviation (ddof 0) over the root of their number. "Avg" is the mean
of the cells beside it. In the table of averages a trial's value is the mean over the targets that it has.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dgbench.sweeps.names import ALGORITHMS, DATASETS, domain_names, in_order
from dgbench.sweeps.read import Job, Sweep

Pick = tuple[float, float]
"""Accuracy on validation, and on the target's "in"."""
Found = dict[tuple[str, str], list[dict[int, float]]]
"""Of a dataset and an algorithm, for each target, the accuracy that every trial reports."""


@dataclass(frozen=True)
class Rule:
    """A criterion of the reference.

    Attributes:
        name: Short.
        title: As its tables say it.
        pick: The checkpoint of a run on a target, of the jobs that hold it out; None where there is none.
    """

    name: str
    title: str
    pick: Callable[[Sequence[Job], int], Pick | None]


@dataclass(frozen=True)
class Figure:
    """A cell.

    Attributes:
        mean: In per cent.
        error: In points; None for a mean of means, which has none.
        trials: How many there are; None for a mean of means.
    """

    mean: float
    error: float | None = None
    trials: int | None = None

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if self.error is None else f"{self.mean:.1f} +/- {self.error:.1f}"


@dataclass(frozen=True)
class Table:
    """A table of the reference.

    Attributes:
        rule: What selected.
        name: The dataset; ``Averages`` for the table of all.
        columns: Domains, or datasets; the last is ``Avg``.
        rows: Of each algorithm a cell for each column, None where nothing is known, which is shown as ``X``.
    """

    rule: Rule
    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Figure | None, ...]]


def tables(sweep: Sweep) -> tuple[Table, ...]:
    """For each criterion a table of every dataset, and that of averages."""
    algorithms = in_order((job.algorithm for job in sweep.jobs), ALGORITHMS)
    counts = {job.dataset: job.domains for job in sweep.jobs}
    datasets = in_order(counts, tuple(DATASETS))
    made = []
    for rule in RULES:
        found: Found = {
            (dataset, name): [{} for _ in range(counts[dataset])] for dataset in datasets for name in algorithms
        }
        _select(sweep.jobs, rule, found)
        for dataset in datasets:
            rows = {name: _row([*trials.values()] for trials in found[dataset, name]) for name in algorithms}
            made.append(Table(rule, dataset, (*domain_names(dataset, counts[dataset]), "Avg"), rows))
        rows = {name: _row(_trial_means(found[dataset, name]) for dataset in datasets) for name in algorithms}
        made.append(Table(rule, "Averages", (*datasets, "Avg"), rows))
    return tuple(made)


def _select(jobs: Iterable[Job], rule: Rule, found: Found) -> None:
    """Fill in what is found."""
    runs: dict[tuple[str, str, int, int], dict[int, list[Job]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        for target in job.held_out:
            runs[job.dataset, job.algorithm, target, job.trial][job.draw].append(job)
    for (dataset, algorithm, target, trial), draws in sorted(runs.items()):
        # the largest seed comes first, and stays where others are as good
        picks = [rule.pick(draws[draw], target) for draw in sorted(draws, reverse=True)]
        known = [pick for pick in picks if pick is not None]
        if known:
            best = max(known, key=lambda pick: -math.inf if math.isnan(pick[0]) else pick[0])
            found[dataset, algorithm][target][trial] = best[1]


def _row(cells: Iterable[Sequence[float]]) -> tuple[Figure | None, ...]:
    """Cells of values by trial, and the mean of their means; None where there are no values."""
    figures = [_figure(values) for values in cells]
    known = [figure.mean for figure in figures if figure is not None]
    return (*figures, Figure(sum(known) / len(known)) if len(known) == len(figures) else None)


def _figure(values: Sequence[float]) -> Figure | None:
    if not values:
        return None
    error = np.std(np.array(values) / np.sqrt(len(values)))
    return Figure(float(100 * np.mean(values)), float(100 * error), len(values))


def _trial_means(targets: Sequence[Mapping[int, float]]) -> list[float]:
    """For each trial the mean over the targets that it has."""
    trials = sorted({trial for values in targets for trial in values})
    return [float(np.mean([values[trial] for values in targets if trial in values])) for trial in trials]


def _first_best(picks: Iterable[Pick]) -> Pick | None:
    """The highest, the earliest of equals. As Python has it, nothing is above NaN, nor NaN above anything."""
    return max(picks, key=lambda pick: pick[0], default=None)


def _training_domains(jobs: Sequence[Job], target: int) -> Pick | None:
    picks: list[Pick] = []
    for job in jobs:
        if job.held_out == (target,):
            validation = np.ascontiguousarray(np.delete(job.outside, target, axis=1)).mean(axis=1)
            picks += zip(validation.tolist(), job.inside[:, target].tolist(), strict=True)
    return _first_best(picks)


def _leave_one_out(jobs: Sequence[Job], target: int) -> Pick | None:
    alone: dict[int, list[float]] = defaultdict(list)
    others: dict[int, dict[int, float]] = defaultdict(dict)
    for job in jobs:
        for step, inside in zip(job.steps, job.inside.tolist(), strict=True):
            if len(job.held_out) == 1:
                alone[step].append(inside[target])
            elif len(job.held_out) == 2:
                (other,) = set(job.held_out) - {target}
                others[step][other] = inside[other]
    sources = [domain for domain in range(jobs[0].domains) if domain != target]
    return _first_best(
        (float(np.mean([others[step][domain] for domain in sources])), alone[step][0])
        for step in sorted(alone)
        if len(alone[step]) == 1 and len(others[step]) == len(sources)  # what is there twice is no choice
    )


def _oracle(jobs: Sequence[Job], target: int) -> Pick | None:
    last: tuple[int, Pick] | None = None
    for job in jobs:
        if job.held_out == (target,):
            for step, outside, inside in zip(job.steps, job.outside[:, target], job.inside[:, target], strict=True):
                if last is None or step >= last[0]:
                    last = step, (float(outside), float(inside))
    return None if last is None else last[1]


RULES = (
    Rule("iid", "training-domain validation set", _training_domains),
    Rule("lodo", "leave-one-domain-out cross-validation", _leave_one_out),
    Rule("oracle", "test-domain validation set (oracle)", _oracle),
)
