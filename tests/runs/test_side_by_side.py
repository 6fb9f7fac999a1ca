"""Heads of a plan are trained side by side, and stored as if each had been trained alone."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
import torch

from dgbench.api.boards import rules
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.groundwork import Groundwork
from dgbench.runs.heads import MOST, side_by_side
from dgbench.runs.jobs import unit
from dgbench.runs.launch import launch
from dgbench.runs.notes import Stage
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.progress import Silent
from dgbench.runs.store import Store
from small import small_board

HEADS = (
    "linear_probe(augmentation='none')",
    "linear_probe(augmentation='none') + irm",
    "linear_probe(augmentation='none', lr=1e38)",
)
CPU = torch.device("cpu")


class _Counted(Silent):
    def __init__(self) -> None:
        self.todo: dict[Stage, int] = {}
        self.done: Counter[Stage] = Counter()
        self.failed: Counter[Stage] = Counter()

    def start(self, todo: Mapping[Stage, int]) -> None:
        self.todo = dict(todo)

    def advance(self, stage: Stage, amount: float, seconds: float | None) -> None:
        self.done[stage] += amount  # type: ignore[assignment]

    def fail(self, stage: Stage, amount: int) -> None:
        self.failed[stage] += amount


def _plan() -> Plan:
    """One case of two algorithms with two draws each, and one that diverges."""
    board = small_board(*HEADS, steps=8)
    board = rules(board, draws=2)
    board = board.model_copy(
        update={"keep": "all", "hyperparameters": board.hyperparameters | {"sampler.augmentation": "none"}}
    )
    plan = make_plan(board)
    target = plan.entries[0].target
    plan.entries = [entry for entry in plan.entries if entry.target == target]
    kept = {entry.run for entry in plan.entries}
    plan.runs = {id_: run for id_, run in plan.runs.items() if id_ in kept}
    used = {run.training for run in plan.runs.values()}
    plan.trainings = {id_: spec for id_, spec in plan.trainings.items() if id_ in used}
    return plan


@pytest.mark.usefixtures("computing_as_a_worker")
def test_heads_of_a_board_are_stored_as_if_each_were_alone(tmp_path: Path) -> None:
    plan, progress, store = _plan(), _Counted(), Store(tmp_path / "together")
    wild = {entry.training for entry in plan.entries if "lr=" in entry.algorithm}
    count = len(plan.trainings)
    assert (count, len(wild)) == (6, 2)
    summary = launch(plan, store, device="cpu", workers=1, progress=progress)
    assert set(summary.failed) == wild
    assert {failed.status for failed in summary.failed.values()} == {"diverged"}
    assert (summary.trainings, summary.runs) == (count - 2, len(plan.runs) - 2)
    assert progress.todo["trainings"] == count
    assert progress.done["trainings"] == pytest.approx(count - 2)
    assert (progress.done["runs"], progress.failed) == (len(plan.runs) - 2, {"trainings": 2, "runs": 2})

    alone = Store(tmp_path / "alone")
    for training in plan.trainings.values():
        if training.id in wild:
            continue
        do_training(training, alone, CPU)
        do_runs(training, [run for run in plan.runs.values() if run.training == training.id], alone, CPU)
        note = store.done("training", training.id)
        assert note is not None
        assert any(name.startswith("weights/") for name in note["files"])
        for name in note["files"]:
            there, here = (one.folder("training", training.id) / name for one in (alone, store))
            assert there.read_bytes() == here.read_bytes(), name
    for id_, run in plan.runs.items():
        if run.training not in wild:
            there, here = (pl.read_parquet(one.file("run", id_, "predictions.parquet")) for one in (alone, store))
            assert there.equals(here)


@pytest.mark.parametrize(("workers", "sizes"), [(1, [6]), (2, [3, 3]), (100, [2, 2, 2])])
def test_heads_are_spread_over_all_workers(workers: int, sizes: list[int]) -> None:
    plan = _plan()
    units = tuple(unit(plan, id_) for id_ in plan.trainings)
    jobs, waiting = side_by_side(Groundwork(units, (), {}), workers)
    assert max(sizes) <= MOST
    assert [len(job.units) for job in jobs] == sizes
    assert [one.id for one in waiting] == [one.id for one in units]
    assert all(one.together and len(set(one.needs()) & {job.id for job in jobs}) == 1 for one in waiting)
