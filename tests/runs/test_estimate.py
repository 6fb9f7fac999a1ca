"""What a plan's time is made of, against the jobs that carrying it out would have."""

from pathlib import Path

import pytest
import torch

from dgbench.cli.work import _time
from dgbench.data.catalogue import load
from dgbench.runs import estimate as module
from dgbench.runs.groundwork import groundwork
from dgbench.runs.jobs import unit
from dgbench.runs.plan import make_plan
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from small import small_board


@pytest.mark.parametrize("trials", [1, 3])
def test_drawing_is_counted_once_for_each_image(trials: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number of algorithms look at it. Splits take whole groups, which a plan does not know of."""
    plan, store = make_plan(small_board("erm", "sam", "t3a", trials=trials)), Store(tmp_path)
    monkeypatch.setattr(module, "_pace", lambda *arguments: module.Pace(0.0, 0.0))
    monkeypatch.setattr(module, "_drawing", lambda size: 1.0)
    monkeypatch.setattr("dgbench.runs.groundwork.drawn", lambda *arguments: False)
    runs = {id_: [run for run in plan.runs.values() if run.training == id_] for id_ in plan.trainings}
    jobs = groundwork([unit(plan, id_, own) for id_, own in runs.items()], store, load).jobs
    images = sum(job.amounts()["views"] for job in jobs)
    assert images > 1000
    assert module.estimate(plan, todo(plan, store), torch.device("cpu"), workers=2).seconds == pytest.approx(
        images / 2, rel=0.1
    )


def test_a_long_time_is_said_in_years_and_device_days() -> None:
    assert _time(44_456 * 3600) == "5.1 years (1,852 device-days)"
    assert _time(720) == "12 min"
