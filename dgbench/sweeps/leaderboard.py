"""A sweep of the reference benchmark as leaderboards of dgbench: a board for each dataset, ranked as all boards are.

The target is one domain that a job held out alone. Candidates are all its checkpoints under all sets of
hyperparameters. They are selected by accuracy on the "out" of the source domains, and tested on the target's "in",
which is what the reference reports. A sweep has accuracies and nothing else: no prediction, no likelihood, no number of
images. So nothing goes into a store, only this criterion can select, and nothing tells algorithms of equal predictions.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from dgbench.board.build import build
from dgbench.board.leaderboard import BoardInfo, Leaderboard
from dgbench.core.backbone_name import UNTOLD
from dgbench.core.errors import RecordError, StoreError
from dgbench.core.visible import visible
from dgbench.selection.records import METRICS, RUNS
from dgbench.sweeps.names import ALGORITHMS, DATASETS, domain_names, in_order
from dgbench.sweeps.read import Job, Sweep

PROTOCOL = (
    "A sweep of DomainBed. Each job trained on the 'in' of every domain but one. Its checkpoints are selected by "
    "accuracy on the 'out' of these domains, which goes through the augmentation of training, too. They are tested on "
    "the 'in' of the domain left out. Algorithms share the splits of a trial, so they are compared in pairs."
)
CRITERION = "source"
REFERENCE = "ERM"


def leaderboards(sweep: Sweep) -> tuple[Leaderboard, ...]:
    """A leaderboard for each dataset that has a finished job with one domain held out.

    Raises:
        StoreError: there is no such job.
        RecordError: a job is there twice, or an accuracy on the target is not a number.
    """
    alone: dict[str, list[Job]] = defaultdict(list)
    for job in sweep.jobs:
        if len(job.held_out) == 1:
            alone[job.dataset].append(job)
    datasets = [name for name in in_order(alone, tuple(DATASETS)) if any(job.finished for job in alone[name])]
    if not datasets:
        raise StoreError(
            f"{sweep.folder}: has no finished job that holds out one domain, so nothing can be ranked; finish the "
            "sweep, or see what there is with --protocol domainbed"
        )
    return tuple(_leaderboard(alone[name], sweep.folder) for name in datasets)


def _leaderboard(jobs: Sequence[Job], folder: Path) -> Leaderboard:
    """The board of a dataset. Unfinished jobs are asked for, and missing."""
    domains = domain_names(jobs[0].dataset, jobs[0].domains)
    trials = {seed: number for number, seed in enumerate(sorted({job.trial for job in jobs}))}
    draws = {seed: number for number, seed in enumerate(sorted({job.draw for job in jobs}))}
    finished = [job for job in jobs if job.finished]
    _refuse_repeats(finished, folder)
    metrics, runs = [], []
    for job in finished:
        (target,) = job.held_out
        place: dict[str, str | int] = {
            "algorithm": job.algorithm, "target": domains[target], "trial": trials[job.trial], "draw": draws[job.draw],
            "run": job.folder,
        }  # fmt: skip
        metrics.append(_measured(job, place, domains, folder))
        runs.append(
            place
            | {
                "training": job.folder, "dataset": job.dataset,
                "sources": [name for name in domains if name != domains[target]], "backbone": UNTOLD,
                "pretrained_on": UNTOLD, "families": [], "hyperparameters": job.hyperparameters,
                "train_seconds": math.nan, "run_seconds": math.nan, "device": UNTOLD, "passes": math.nan,
                "without_effect": "",
            }
        )  # fmt: skip
    info = BoardInfo(
        name=jobs[0].dataset,
        title=f"{jobs[0].dataset}, from a sweep of DomainBed",
        version=1,
        rules=UNTOLD,
        dataset=jobs[0].dataset,
        domains=tuple(domains[number] for number in sorted({job.held_out[0] for job in jobs})),
        classes=0,
        protocol=PROTOCOL,
        criterion=CRITERION,
        trials=len(trials),
        draws=len(draws),
        algorithms=in_order((job.algorithm for job in jobs), ALGORITHMS),
        recompute=UNTOLD,
        reference=REFERENCE,
    )
    return build(pl.concat(metrics), pl.DataFrame(runs, RUNS), info)


def _measured(job: Job, place: Mapping[str, str | int], domains: Sequence[str], folder: Path) -> pl.DataFrame:
    """A row for each checkpoint and domain: on the "out" of the sources, on the "in" of the target."""
    (target,) = job.held_out
    for number, value in enumerate(job.inside[:, target], 1):
        if math.isnan(value):
            raise RecordError(
                f"{_file(job, folder)}, line {number}: env{target}_in_acc: is not a number, and tests nothing; take "
                "the job's folder away, or see what the reference makes of it with --protocol domainbed"
            )
    accuracies = job.outside.copy()
    accuracies[:, target] = job.inside[:, target]
    splits = ["target" if number == target else "validation" for number in range(len(domains))]
    same = {"title": job.algorithm, "track": "inductive", "view": "clean", "nll": math.nan, "n": 0, **place}
    return (
        pl.DataFrame(
            {
                "step": np.repeat(job.steps, len(domains)),
                "split": splits * len(job.steps),
                "domain": [*domains] * len(job.steps),
                "accuracy": accuracies.ravel(),
            }
        )
        .with_columns(pl.lit(value, METRICS[name]).alias(name) for name, value in same.items())
        .with_columns(pl.format("{} {}", "run", "step").alias("digest"))
        .select(METRICS.names())
    )


def _refuse_repeats(jobs: Sequence[Job], folder: Path) -> None:
    """Of two jobs that are the same nobody can say which was meant."""
    first: dict[object, Job] = {}
    for job in jobs:
        if (before := first.setdefault(job.key, job)) is not job:
            raise RecordError(
                f"{folder}: {before.folder} and {job.folder} are the same job ({job.algorithm} on {job.dataset}, "
                f"test_envs {list(job.held_out)}, trial_seed {job.trial}, hparams_seed {job.draw}); take one of the "
                "folders away"
            )
        for number, (step, after) in enumerate(itertools.pairwise(job.steps), 2):
            if after <= step:
                raise RecordError(
                    f"{_file(job, folder)}, line {number}: step: {after} comes after {step}, so the job was started "
                    "twice in one folder; keep the lines of one start"
                )


def _file(job: Job, folder: Path) -> str:
    return visible(str(folder / job.folder / "results.jsonl"))
