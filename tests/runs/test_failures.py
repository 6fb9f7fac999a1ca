"""How work ended, in the words that boards, submissions and launchers share."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
import torch

import dgbench
from dgbench.api import boards
from dgbench.core.cards import CaseRules, SelectionRules
from dgbench.core.errors import DivergedError, RecipeError, StoreError
from dgbench.core.results import Status
from dgbench.core.space import Space
from dgbench.exported import choose
from dgbench.launchers import Launcher
from dgbench.launchers.far import RefusedError
from dgbench.runs.collect import collect
from dgbench.runs.failures import status_of
from dgbench.runs.jobs import Extraction, Job, LostError, Unit
from dgbench.runs.launch import units_of
from dgbench.runs.planning import make_plan
from dgbench.runs.progress import Silent
from dgbench.runs.room import Room
from dgbench.runs.shares import Shares
from dgbench.runs.store import Store
from dgbench.runs.sweep import Sweep
from dgbench.runs.todo import todo
from dgbench.runs.tracking import Tracking
from dgbench.train.division import Division
from small import small_board


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DivergedError(7), "diverged"),
        (pickle.loads(pickle.dumps(DivergedError(7))), "diverged"),
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), "out of memory"),
        (RuntimeError("MPS backend out of memory"), "out of memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "out of memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out of memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"), "failed"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "failed"),
        (RecipeError("it does not fit"), "failed"),
        (ValueError("out of memory"), "failed"),
    ],
)
def test_an_error_has_a_status(error: Exception, status: Status) -> None:
    assert status_of(error) == status


def test_what_torch_says_where_memory_runs_out_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    assert status_of(caught.value) == "out of memory"


def test_a_training_that_diverged_is_told_with_its_last_step(tmp_path: Path) -> None:
    board = small_board("erm", "linear_probe").model_copy(
        update={
            "cases": {"digits": CaseRules(targets=("print",))},
            "overrides": {"linear_probe": {"optimizer.lr": 1e30}},
        }
    )
    summary = boards.run(board, store=tmp_path, device="cpu")
    (failed,) = summary.failed.values()
    assert (failed.status, failed.last_step) == ("diverged", 0), "at its first checkpoint"
    (noted,) = (tmp_path / "failures").glob("*.json")
    assert json.loads(noted.read_text())["status"] == "diverged"
    (told,) = collect(board, Store(tmp_path)).failed
    assert (told.algorithm, told.status, told.last_step) == ("linear_probe", "diverged", 0)
    assert dgbench.leaderboard(board, store=tmp_path).failed == (told,)


def test_a_draw_whose_learning_rate_is_too_high_loses_and_leaves_its_algorithm_ranked(tmp_path: Path) -> None:
    """Draw 0 has the board's own learning rate, draw 1 one of at least 1e30: its training really diverges."""
    board = small_board("linear_probe").model_copy(
        update={
            "cases": {"digits": CaseRules(targets=("print",))},
            "search": {"optimizer.lr": Space(kind="loguniform", low=1e30, high=1e31)},
            "selection": SelectionRules(views_per_domain=5),
            "draws": 2,
        }
    )
    summary = boards.run(board, store=tmp_path, device="cpu", workers=1)
    assert [failed.status for failed in summary.failed.values()] == ["diverged"]
    found = collect(board, Store(tmp_path))
    assert [one.place for one in found.failed] == [("linear_probe", "print", 0, 1)]
    made = dgbench.leaderboard(board, store=tmp_path)
    assert [(entry.rank, entry.runs, entry.diverged) for entry in made.entries] == [(1, 1, 1)]
    assert made.cells["draw"].to_list() == [0]
    chosen = dgbench.select(board, store=tmp_path)
    assert (chosen.missing, len(chosen.failed)) == (0, 1)
    assert choose.chosen(board, "linear_probe", Store(tmp_path), criterion="augmented").entry.draw == 0

    (note,) = (tmp_path / "failures").glob("*.json")
    note.write_text(note.read_text().replace('"diverged"', '"out of memory"'))
    assert [entry.rank for entry in dgbench.leaderboard(board, store=tmp_path).entries] == [None]
    with pytest.raises(StoreError, match="trial 0, draw 1 failed"):
        choose.chosen(board, "linear_probe", Store(tmp_path), criterion="augmented")


class AllEnd:
    """A launcher whose trainings end with an error at once."""

    workers = 1

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def admits(self, share: float) -> bool:
        return True

    def submit(self, do: object, job: Job, *arguments: object, **named: object) -> Future[None]:
        self.asked += 1
        future = Future[None]()
        future.set_exception(self.error)
        return future


def test_what_a_training_of_its_own_diverged_for_has_diverged_itself(tmp_path: Path) -> None:
    """A probe, rounds and what is merged are of one draw. The head that many start from is not, and leaves a hole."""
    algorithms = ("useful", "rfc", "rfc(train=head)", "wise_ft_fisher", "lp_ft", "useful + lp_ft", "erm")
    plan, store = make_plan(small_board(*algorithms)), Store(tmp_path)
    units = units_of(plan, todo(plan, store))
    with closing(Room(units, {}, {})) as room:
        sweep = Sweep(
            plan, store, cast("Launcher", AllEnd(DivergedError(1))), room, Shares(""), Silent(), Tracking(plan)
        )
        sweep.run(units)
    found = {entry.algorithm: sweep.failures[entry.training] for entry in plan.entries}
    assert {name: failed.status for name, failed in found.items()} == {
        **dict.fromkeys(("useful", "rfc", "rfc(train=head)", "erm"), "diverged"),
        **dict.fromkeys(("wise_ft_fisher", "lp_ft", "useful + lp_ft"), "failed"),
    }
    assert found["useful"].error.startswith("what it builds on failed: training diverged")
    assert {noted.status for id_ in sweep.failures if (noted := store.failure(id_))} == {"diverged", "failed"}


def test_an_engine_that_takes_nothing_ends_the_sweep(tmp_path: Path) -> None:
    plan, store = make_plan(small_board("erm", "sam")), Store(tmp_path)
    units, crew = units_of(plan, todo(plan, store)), AllEnd(RefusedError("Slurm takes no job: invalid partition"))
    with closing(Room(units, {}, {})) as room:
        sweep = Sweep(plan, store, cast("Launcher", crew), room, Shares(""), Silent(), Tracking(plan))
        with pytest.raises(RefusedError, match="invalid partition"):
            sweep.run(units)
    assert (crew.asked, sweep.failures) == (1, {})


class Loses:
    """A launcher that finds a training lost in its first call, and nothing amiss later."""

    workers = 1

    def __init__(self, training: str) -> None:
        self.training = training
        self.asked: list[Job] = []

    def admits(self, share: float) -> bool:
        return True

    def submit(self, do: object, job: Job, *arguments: object, **named: object) -> Future[None]:
        self.asked.append(job)
        future = Future[None]()
        if len(self.asked) == 1:
            future.set_exception(LostError("training", self.training))
        else:
            future.set_result(None)
        return future


def test_a_training_is_done_again_as_the_sweep_divides_it_whoever_found_it_lost(tmp_path: Path) -> None:
    plan, store, division = make_plan(small_board("erm")), Store(tmp_path), Division(micro_batch=4)
    training = next(iter(plan.trainings.values()))
    finds, crew = Extraction(training, "print", ("clean",), None, 0, "features of print"), Loses(training.id)
    with closing(Room((), {}, {})) as room:
        sweep = Sweep(plan, store, cast("Launcher", crew), room, Shares(""), Silent(), Tracking(plan), division)
        sweep.run([finds])
    found, again, after = crew.asked
    assert isinstance(again, Unit)
    assert (found, after, again.id, again.division) == (finds, finds, training.id, division)
