"""Doing finished trainings again, from what identifies them, and comparing what they predict, bit for bit.

A store of its own is filled, with everything that the trainings start from; nothing that was finished before is used.
On the same kind of machine, with the same libraries, predictions are the same to the last bit. On another, sums are
taken in another order, and what is left of that after training is told.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import torch

from dgbench.algorithms.slots import Averaging
from dgbench.core.disk import writing
from dgbench.core.elsewhere import load, trusted
from dgbench.core.paths import cache_root
from dgbench.core.pieces import checkpoint
from dgbench.core.processes import Pool
from dgbench.core.results import Measurement, Result
from dgbench.core.seals import described
from dgbench.runs.deterministic import ready
from dgbench.runs.device import DeviceName
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.launch import launch
from dgbench.runs.notes import Note, Steps, Tell
from dgbench.runs.parts import elsewhere, part_of, parts_of
from dgbench.runs.plan import Plan, RunSpec
from dgbench.runs.progress import Progress, Silent
from dgbench.runs.store import Store
from dgbench.selection.measures import summarised
from dgbench.selection.predictions import STREAM, of_values
from dgbench.train.spec import TrainingSpec

TOLERANCE = 1e-3
"""What a probability may differ by where another machine computes it."""


@dataclass(frozen=True)
class Again:
    """A run that was done again.

    Attributes:
        run, training: Which.
        where: In the words of the board.
        identical: Whether every number is the same, to the last bit.
        difference: The largest between a probability then and now; between values, in standard deviations of the true.
        changed: How many predictions are of another class.
        examples: How many predictions there are.
        error: What went wrong; empty if nothing did.
    """

    run: str
    training: str
    where: str
    identical: bool = False
    difference: float = 1.0
    changed: int = 0
    examples: int = 0
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it is the same, but for what machines differ in."""
        return self.identical or (not self.error and self.changed == 0 and self.difference <= TOLERANCE)

    def __str__(self) -> str:
        if self.error:
            return f"{self.where}: {self.error}"
        if self.identical:
            return f"{self.where}: the same bit for bit, {self.examples:,} predictions"
        changed = f"{self.changed:,} of {self.examples:,} predictions are of another class"
        return f"{self.where}: {changed}, probabilities differ by up to {self.difference:.2g}"


def sample(plan: Plan, runs: Collection[str], count: int | None, seed: int) -> list[str]:
    """Some of the trainings that runs come from, drawn at random; all of them without a ``count``."""
    trainings = sorted({plan.runs[run].training for run in runs})
    return trainings if count is None else random.Random(seed).sample(trainings, min(count, len(trainings)))


def part(plan: Plan, trainings: Iterable[str], runs: Collection[str]) -> Plan:
    """The part of a plan that does some trainings, all that they follow, and those of their runs."""
    wanted: dict[str, None] = {}
    pending = list(trainings)
    first = set(pending)
    while pending:
        wanted[pending[-1]] = None
        pending += plan.trainings[pending.pop()].follows()
    kept = {id_: run for id_, run in plan.runs.items() if id_ in runs and run.training in first}
    return replace(
        plan,
        entries=[entry for entry in plan.entries if entry.run in kept],
        judges=[],
        trainings={id_: spec for id_, spec in plan.trainings.items() if id_ in wanted},
        runs=kept,
    )


def again(
    plan: Plan,
    compare: Callable[[Again, Path], Again],
    empty: Store,
    *,
    device: DeviceName = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Again]:
    """Do the runs of a plan again, and compare.

    Args:
        plan: What is done, as :func:`part` gives it.
        compare: Is given a run, and the file of what it predicts now; says what that has in common with before.
        empty: A store with nothing in it.
        device, workers, progress: As for :func:`dgbench.runs.launch.launch`.
    """
    failed = launch(plan, empty, device=device, workers=workers, progress=progress).failed
    found = []
    for id_, run in plan.runs.items():
        entry = next(entry for entry in plan.entries if entry.run == id_)
        where = f"{entry.title}, target {entry.target}, trial {entry.trial}, draw {entry.draw}"
        if run.training in failed:
            found.append(Again(id_, run.training, where, error=failed[run.training].error))
            continue
        found.append(compare(Again(id_, run.training, where), empty.file("run", id_, "predictions.parquet")))
    return found


def alone(
    run: RunSpec, trainings: Sequence[TrainingSpec], empty: Store, *, device: str, progress: Progress | None = None
) -> Path:
    """Do a single run again, as a worker does it, with all that it comes from; the file of what it predicts.

    Args:
        run: Which.
        trainings: Its own is the last, each comes after those that it starts from.
        empty: A store with nothing in it.
        device: ``cpu``, ``cuda`` or ``mps``.
        progress: Is told what happens.

    Raises:
        DivergedError: a training does not come to its end.
        DGBenchError: it cannot be done here.
    """
    for spec in trainings:
        if (whole := elsewhere(parts_of(spec))) is not None:
            load(whole.algorithm)  # or nobody here said that it may run
    told = progress or Silent()
    told.start({"trainings": len(trainings), "runs": 1})

    def tell(note: Note) -> None:
        told.advance(note.stage, note.amount, note.seconds)

    try:
        with Pool(1, ready, device, trusted()) as pool:
            told.running(1)
            for spec in trainings:
                own = (run,) if spec.id == run.training else ()
                pool.submit(_piece, spec, own, empty.root, device, tell=tell).result()
    finally:
        told.stop()
    return empty.file("run", run.id, "predictions.parquet")


def _piece(spec: TrainingSpec, runs: Sequence[RunSpec], root: Path, device: str, tell: Tell) -> None:
    """Do a training, of whose way that stays which its runs read, or else what others start from; and these runs."""
    steps, told = spec.checkpoint_steps(), Steps(spec.steps, tell)
    kept = {checkpoint(steps[-1])}
    for run in runs:
        averaging: Averaging = part_of("averaging", run.averaging, f"run {run.id}")
        kept.update(averaging.reads(steps))
    store, where = Store(root), torch.device(device)
    with writing(root, cache_root()):
        do_training(spec, store, where, told, keep=kept)
        tell(Note("trainings", 1 - told.told, told.seconds()))
        do_runs(spec, runs, store, where)
        tell(Note("runs", len(runs)))


def compared(which: Again, then: pl.DataFrame, now: pl.DataFrame) -> Again:
    """What two tables of one run's predictions have in common."""
    key = [*STREAM, "sample"]
    if then.schema != now.schema or not then.select(key).equals(now.select(key)):
        return replace(which, error="other examples are predicted, or in other columns")
    if of_values(now):  # more or less of a value: of another class there is none
        spread = float(now["label"].to_numpy().std()) or 1.0
        gaps = [((then["prediction"] - now["prediction"]).abs() / spread).max()]
    else:
        gaps = [(then[name] - now[name]).abs().max() for name in ("confidence", "p_label")]
    return replace(
        which,
        identical=then.equals(now),
        difference=max((float(gap) for gap in gaps if isinstance(gap, float)), default=0.0),
        changed=0 if of_values(now) else int((then["prediction"] != now["prediction"]).sum()),
        examples=now.height,
    )


def announced(
    which: Again, sha256: str, metrics: Iterable[Measurement], path: Path, measure: str, dataset: str
) -> Again:
    """What predictions have in common with those of which only the hash and the scores are known.

    Args:
        which: The run.
        sha256, metrics: Of the predictions then: of their file, and of each stream.
        path: Of the file now.
        measure, dataset: By what the board judges, and what the run is of.
    """
    now = pl.read_parquet(path)
    measured = Result.measured(summarised(now, measure, dataset).iter_rows(named=True)).metrics
    if _scored(measured) != _scored(metrics) or not all(map(_close, _sorted(measured), _sorted(metrics))):
        return replace(
            which,
            error="its predictions are not those that were announced, and these are not here; with "
            "'--predictions FOLDER' the two are compared",
        )
    return replace(which, identical=described(path)[1] == sha256, difference=0.0, examples=now.height)


def _sorted(metrics: Iterable[Measurement]) -> list[Measurement]:
    return sorted(metrics, key=lambda one: (one.step, one.split, one.domain, one.view))


def _scored(metrics: Iterable[Measurement]) -> list[tuple[int, str, str, str, int, str]]:
    """What is the same to the last bit, wherever it is computed from the same predictions."""
    return [(one.step, one.split, one.domain, one.view, one.n, one.digest) for one in _sorted(metrics)]


def _close(one: Measurement, other: Measurement) -> bool:
    """Whether sums over the same numbers were taken."""
    pairs = ((one.accuracy, other.accuracy), (one.nll, other.nll), (one.headline, other.headline))
    return all(a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-6)) for a, b in pairs)
