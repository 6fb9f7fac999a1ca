"""A training in several processes: what comes of it, where it goes on, and how it ends when one of them dies."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from dgbench.core.elsewhere import trust
from dgbench.core.errors import DGBenchError, RecipeError
from dgbench.core.processes import Pool, WorkerDiedError
from dgbench.runs import siblings
from dgbench.runs.dividing import check_division, divides
from dgbench.runs.execute import do_training
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.train.division import Division
from dgbench.train.spec import TrainingSpec
from small import small_board

CPU = torch.device("cpu")
TWO = Division(processes=2)


def planned(algorithm: str = "erm", backbone: str = "dgbench:convnet-small") -> tuple[Plan, TrainingSpec]:
    plan = make_plan(small_board(algorithm, backbone=backbone, steps=6, checkpoints=3))
    return plan, next(spec for spec in plan.trainings.values() if spec.dataset == "digits")


def weights(store: Store, spec: TrainingSpec) -> dict[str, torch.Tensor]:
    return load_file(store.folder("training", spec.id) / "weights" / "000006.safetensors")


def test_one_of_two_processes_dies_and_they_go_on_and_come_to_what_one_comes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[Pool] = []

    class Watched(Pool):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            pools.append(self)

    def kill(step: int) -> None:
        if step == 3:
            os.kill(pools[0]._workers[0].process.pid, signal.SIGKILL)

    _, spec = planned()
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    assert do_training(spec, one, CPU)
    monkeypatch.setattr(siblings, "Pool", Watched)
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        do_training(spec, two, CPU, kill, division=TWO)
    assert not dist.is_initialized()
    seen: list[int] = []
    assert do_training(spec, two, CPU, seen.append, division=TWO)
    assert seen == [3, 4, 5, 6]  # from the last checkpoint
    alone, together = weights(one, spec), weights(two, spec)
    assert alone.keys() == together.keys()
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, rtol=0, atol=1e-5)
    notes = [store.done("training", spec.id) for store in (one, two)]
    assert notes[0] is not None
    assert notes[1] is not None
    assert notes[1]["environment"] == notes[0]["environment"] | {"processes": "2"}
    histories = [pl.read_parquet(store.folder("training", spec.id) / "history.parquet") for store in (one, two)]
    assert histories[0].select("step", "domain", "n").equals(histories[1].select("step", "domain", "n"))
    assert (histories[0]["nll"] - histories[1]["nll"]).abs().to_list() == pytest.approx([0.0] * 9, abs=1e-5)


def test_what_cannot_be_divided_is_refused_before_work() -> None:
    plan, spec = planned()
    check_division(Division(4, 2), plan, [spec], "cpu")
    with pytest.raises(DGBenchError, match="4 images of a domain, which are too few for 5 processes"):
        check_division(Division(5), plan, [spec], "cpu")
    with pytest.raises(DGBenchError, match="there is one 'mps'"):
        check_division(TWO, plan, [spec], "mps")
    plan, spec = planned(backbone="timm:test_efficientnet(size=32)")
    micro, moving = Division(micro_batch=2), replace(spec, norm_mode="train")
    check_division(micro, plan, [spec], "cpu")
    check_division(TWO, plan, [moving], "cpu")
    with pytest.raises(RecipeError, match=r"'timm:test_efficientnet.*' normalise by the batch"):
        check_division(micro, plan, [moving], "cpu")
    plan, spec = planned("linear_probe(augmentation='none')")
    assert not divides(spec)  # a head on stored features: one process, whatever is asked for
    check_division(Division(99, 1), plan, [spec], "cpu")


@pytest.mark.parametrize("division", [TWO, Division(micro_batch=2)])
def test_whole_algorithms_from_elsewhere_are_not_divided(division: Division) -> None:
    recipe = "domainbed:reference_interface:ERM(lr=0.01, weight_decay=0.0)"
    trust(recipe)
    plan = make_plan(small_board(recipe, backbone="dgbench:convnet-small"))
    with pytest.raises(RecipeError, match="reference_interface:ERM' is a whole algorithm from elsewhere"):
        check_division(division, plan, plan.trainings.values(), "cpu")


@pytest.mark.parametrize(
    ("asked", "said"), [({"processes": 0}, "processes_per_training"), ({"micro_batch": 0}, "micro")]
)
def test_nothing_is_divided_into_none(asked: dict[str, int], said: str) -> None:
    with pytest.raises(DGBenchError, match=f"{said}.*at least 1, got 0"):
        Division(**asked)


def test_the_page_says_for_how_long_another_process_is_waited_for() -> None:
    page = (Path(__file__).parents[2] / "docs" / "parallel.md").read_text(encoding="utf-8")
    minutes = f"{siblings.PATIENCE.total_seconds() / 60:g} minutes"
    assert f"On CUDA it may take until {minutes} are over" in page
    assert f"One that hangs is waited for {minutes}, and so is the first process while it validates" in page
