"""What a plan's time is made of, against the jobs that carrying it out would have, and how it is told."""

from pathlib import Path

import pytest

from dgbench.cli.plan import _time
from dgbench.core.cards import BoardCard
from dgbench.data.catalogue import load
from dgbench.runs import estimate as module
from dgbench.runs.groundwork import groundwork
from dgbench.runs.jobs import unit
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.runs.timing import LEARN, Pace
from dgbench.runs.todo import todo
from in_process import carry_out
from small import VIEWS, WHOLE, small_board


def seconds(plan: Plan, store: Store, workers: int = 1) -> float:
    return module.estimate(plan, todo(plan, store), store, "cpu", workers).seconds


@pytest.mark.parametrize("trials", [1, 3])
def test_drawing_is_counted_once_for_each_image(trials: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number of algorithms look at it. Splits take whole groups, which a plan does not know of."""
    plan, store = make_plan(small_board("erm", "sam", "t3a", trials=trials)), Store(tmp_path)
    monkeypatch.setattr(module, "network_pace", lambda *arguments: Pace(0.0, 0.0))
    monkeypatch.setattr(module, "drawing_pace", lambda size: 1.0)
    monkeypatch.setattr("dgbench.runs.groundwork.undrawn", lambda dataset, domain, rows, family: rows)
    runs = {id_: [run for run in plan.runs.values() if run.training == id_] for id_ in plan.trainings}
    jobs = groundwork([unit(plan, id_, own) for id_, own in runs.items()], store, load).jobs
    images = sum(job.amounts()["views"] for job in jobs)
    assert images > 300
    assert seconds(plan, store, workers=2) == pytest.approx(images / 2, rel=0.1)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[BoardCard, Store]:
    """Four ERM trainings that are done; SAM's are not."""
    store = Store(tmp_path_factory.mktemp("begun"))
    carry_out(small_board("erm", split=WHOLE), store.root)
    return small_board("erm", "sam", split=WHOLE), store


def test_what_really_ran_here_says_how_long_the_rest_takes(
    begun: tuple[BoardCard, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without timing anything. SAM's steps have two passes over the batch, and as many images are looked at."""
    board, store = begun
    plan = make_plan(board)
    monkeypatch.setattr(module, "network_pace", lambda *arguments: pytest.fail("a network was timed"))
    monkeypatch.setattr(module, "drawing_pace", lambda size: 0.0)
    runs, looked = plan.runs.values(), 0.0
    took, counted = [], []
    for training in plan.trainings.values():
        held = 0.1 * sum(d.count or 0 for d in plan.datasets["digits"].domains if d.name in training.sources)
        steps = 4 * 4 * 3
        if (note := store.done("training", training.id)) is not None:
            took.append(note["seconds"])
            counted.append(steps + 2 * held / LEARN)
        else:
            targets = {run.target for run in runs if run.training == training.id}
            tested = sum(d.count or 0 for d in plan.datasets["digits"].domains if d.name in targets)
            shifted = 10 * VIEWS * len(training.sources)
            looked += 2 * steps + (2 * held + 2 * (held + shifted + tested)) / LEARN
    paces = sorted(one / images for one, images in zip(took, counted, strict=True))
    assert len(paces) == 4
    assert seconds(plan, store) == pytest.approx(looked * (paces[1] + paces[2]) / 2, rel=0.02)


def test_what_ran_on_another_machine_says_nothing(
    begun: tuple[BoardCard, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    board, store = begun
    monkeypatch.setattr(module, "processor", lambda: "another one")
    monkeypatch.setattr(module, "network_pace", lambda *arguments: Pace(1.0, 0.0))
    monkeypatch.setattr(module, "drawing_pace", lambda size: 0.0)
    assert seconds(make_plan(board), store) == pytest.approx(4 * 4 * 4 * 3 * 2)


def test_heads_take_their_steps_and_their_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pass of every step of each, and what each run notes; SAM's steps have two passes."""
    board = small_board("linear_probe(augmentation='none')", "linear_probe + sam(augmentation='none')", trials=2)
    plan = make_plan(board)
    assert (len(plan.trainings), len(plan.runs)) == (16, 16)
    monkeypatch.setattr(module, "network_pace", lambda *arguments: Pace(0.0, 0.0))
    monkeypatch.setattr(module, "drawing_pace", lambda size: 0.0)
    asked: list[str] = []
    monkeypatch.setattr(module, "head_pace", lambda training, device: asked.append(device) or 7.0)
    assert seconds(plan, Store(tmp_path)) == pytest.approx(8 * 4 * 7 * (1 + 2) + 16 * module.PREDICTED)
    assert asked == ["cpu"], "what the cache knows is read once for all that are alike, not for each of thousands"


def test_a_long_time_is_said_in_years_and_device_days() -> None:
    assert _time(44_456 * 3600) == "5.1 years (1,852 device-days)"
    assert _time(720) == "12 min"
