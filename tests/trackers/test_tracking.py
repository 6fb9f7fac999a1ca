"""Trackers hear what happened, as the store has it, and change nothing of it."""

import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import polars as pl
import pytest
from trackers.conftest import Told

from dgbench.api import boards
from dgbench.core.disk import DiskError
from dgbench.core.errors import DGBenchError, UnknownNameError
from dgbench.core.results import LONGEST
from dgbench.runs.deterministic import as_worker
from dgbench.runs.events import (
    BoardBegins,
    BoardEnds,
    Checkpoint,
    Event,
    Selected,
    TrainingBegins,
    TrainingEnds,
    Validated,
)
from dgbench.runs.notes import Measured, Predicted
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.status import status
from dgbench.runs.store import Store
from dgbench.runs.tracking import Tracking, tracked
from dgbench.trackers import NAMES, lines, named
from in_process import carry_out


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_each_training_is_told_in_its_order_between_the_ends_of_the_board(told: Told) -> None:
    first, *between, last = told.events
    assert first == BoardBegins("small", told.rules.title, told.rules.criterion, trainings=4, runs=6)
    assert last == BoardEnds("small", "ok", trainings=4, runs=6, failed=0)
    by_training = defaultdict(list)
    for event in between:
        by_training[event.training].append(type(event))
    plan, store = make_plan(told.rules), Store(told.store)
    assert by_training.keys() == plan.trainings.keys()
    for training, kinds in by_training.items():
        runs = [run.id for run in plan.runs.values() if run.training == training]
        tables = [pl.read_parquet(store.file("run", run, "predictions.parquet")) for run in runs]
        candidates = sum(table["step"].n_unique() for table in tables)
        assert candidates >= len(runs)
        in_order = [TrainingBegins, *[Checkpoint] * 2, *[Validated] * candidates, TrainingEnds]
        assert kinds == [*in_order, *[Selected] * len(runs)]
    assert {event.status for event in of(told.events, TrainingEnds)} == {"ok"}


def test_a_log_has_a_line_of_json_for_each_event(told: Told) -> None:
    written = [json.loads(line) for line in told.log.read_text().splitlines()]
    times = [datetime.fromisoformat(line.pop("time")) for line in written]
    assert times == sorted(times)
    assert [line.pop("event") for line in written] == [type(event).__name__ for event in told.events]
    assert written == json.loads(json.dumps([asdict(event) for event in told.events]))


def test_a_log_is_added_to_and_says_null_of_what_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    for _ in range(2):
        lines.tracker(path)(Checkpoint("t", 1, math.nan, {"a": 0.5}, {"a": math.inf}))
    said = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert [(line["loss"], line["nll"], line["accuracy"]) for line in said] == [(None, {"a": None}, {"a": 0.5})] * 2
    with pytest.raises(DiskError):
        lines.tracker(tmp_path / "new" / "events.jsonl" / "below")


def test_what_work_took_is_in_its_seal(told: Told) -> None:
    plan, store = make_plan(told.rules), Store(told.store)
    for id_, training in plan.trainings.items():
        note = store.done("training", id_)
        assert note is not None
        assert note["images"] == 4 * 4 * len(training.sources)
        assert 50e6 < note["memory_bytes"] < 50e9
        assert note["peak_bytes"] is None
    for run in plan.runs:
        note = store.done("run", run)
        assert note is not None
        assert 0 <= time.time() - note["ended"] < 3600
    (board,) = status(store).boards
    assert board.runs_per_hour is not None
    (spent,) = board.spent
    assert (spent.device, board.memory_bytes is None) == ("cpu", False)
    assert spent.images_per_second is not None
    assert spent.images_per_second > 0


def test_what_a_training_is_comes_from_its_identity_and_the_board(told: Told) -> None:
    plan = make_plan(told.rules)
    for event in of(told.events, TrainingBegins):
        spec = plan.trainings[event.training]
        entries = [entry for entry in plan.entries if entry.training == event.training]
        assert event.algorithms in (("erm", "t3a"), ("sam",))
        assert (event.targets, event.draws) == ((entries[0].target,), (0,))
        assert (event.dataset, event.sources, event.trial, event.step, event.steps) == ("digits", spec.sources, 0, 0, 4)
        assert event.hyperparameters["optimizer"] == spec.parts["optimizer"]["part"]
        assert event.hyperparameters.get("optimizer.rho") == spec.parts["optimizer"].get("rho")
        assert "optimizer.version" not in event.hyperparameters
    steep = [event for event in of(told.events, TrainingBegins) if event.algorithms == ("sam",)]
    assert len(steep) == 2
    assert all("optimizer.rho" in event.hyperparameters for event in steep)


def test_checkpoints_are_those_of_the_history(told: Told) -> None:
    store = Store(told.store)
    for training in make_plan(told.rules).trainings:
        kept = pl.read_parquet(store.file("training", training, "history.parquet"))
        heard = [event for event in of(told.events, Checkpoint) if event.training == training]
        rows = [
            (event.step, event.loss, domain, event.accuracy[domain], event.nll[domain])
            for event in heard
            for domain in event.accuracy
        ]
        assert rows == kept.select("step", "loss", "domain", "accuracy", "nll").rows()


def test_validation_is_the_mean_over_sources_of_what_the_runs_predicted(told: Told) -> None:
    store = Store(told.store)
    for event in of(told.events, Validated):
        table = pl.read_parquet(store.file("run", event.run, "predictions.parquet"))
        rows = table.filter((pl.col("split") == "validation") & (pl.col("step") == event.step)).to_dicts()
        right: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            right[row["view"]][row["domain"]].append(row["prediction"] == row["label"])
        assert event.accuracy == {
            view: pytest.approx(fmean(fmean(one) for one in domains.values())) for view, domains in right.items()
        }
        assert "clean" in event.accuracy
        assert len(event.accuracy) > 5


def test_what_is_selected_is_what_the_board_shows(told: Told) -> None:
    chosen = boards.select(told.rules, store=told.store).cells
    keys = ("algorithm", "target", "trial", "draw", "step", "run", "score")
    heard = of(told.events, Selected)
    assert sorted(tuple(getattr(event, key) for key in keys) for event in heard) == sorted(chosen.select(keys).rows())
    store = Store(told.store)
    for event in heard:
        table = pl.read_parquet(store.file("run", event.run, "predictions.parquet"))
        target = table.filter((pl.col("split") == "target") & (pl.col("step") == event.step))
        assert event.accuracy == pytest.approx((target["prediction"] == target["label"]).mean())
    assert {event.criterion for event in heard} == {told.rules.criterion}


def test_no_event_names_a_path(told: Told) -> None:
    said = "".join(map(repr, told.events))
    for place in (told.store, Path.cwd(), Path.home()):
        assert str(place) not in said


def test_being_tracked_changes_no_number_and_no_id(told: Told, tmp_path: Path) -> None:
    with as_worker("cpu"):
        carry_out(told.rules, tmp_path)
    tracked, plain = Store(told.store), Store(tmp_path)
    for kind, file in (("run", "predictions.parquet"), ("training", "history.parquet")):
        ids = sorted(path.name for path in (tmp_path / f"{kind}s").iterdir())
        assert ids == sorted(path.name for path in (told.store / f"{kind}s").iterdir())
        for id_ in ids:
            one, other = (store.file(kind, id_, file).read_bytes() for store in (tracked, plain))  # type: ignore[arg-type]
            assert one == other


def test_what_was_finished_before_is_not_told_again(told: Told) -> None:
    heard: list[Event] = []
    boards.run(told.rules, store=told.store, device="cpu", trackers=[heard.append])
    assert [type(event) for event in heard] == [BoardBegins, *[Selected] * 6, BoardEnds]
    assert heard[1:-1] == of(told.events, Selected)


class Broken:
    """Raises at the first event of a kind."""

    def __init__(self, at: type) -> None:
        self.at = at
        self.heard: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.heard.append(event)
        if isinstance(event, self.at):
            raise ConnectionError("nobody answers")


@pytest.mark.parametrize("at", [BoardBegins, Selected, BoardEnds])
def test_a_tracker_that_raises_ends_nothing_but_itself(at: type, told: Told, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    broken = Broken(at)
    summary = boards.run(told.rules, store=told.store, device="cpu", trackers=[broken, heard.append])
    assert heard[-1] == BoardEnds("small", "ok", 0, 0, 0)
    assert summary.untold == {"Broken": "ConnectionError: nobody answers"}
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.getMessage() == (
        "tracker Broken failed and is told nothing more; the work goes on: ConnectionError: nobody answers"
    )
    assert isinstance(broken.heard[-1], at)
    assert sum(isinstance(event, at) for event in broken.heard) == 1


def test_of_two_trackers_of_one_name_each_is_named(told: Told) -> None:
    summary = boards.run(told.rules, store=told.store, device="cpu", trackers=[Broken(BoardEnds), Broken(BoardEnds)])
    assert summary.untold.keys() == {"Broken", "Broken (1)"}


@pytest.fixture
def plan(told: Told) -> Iterator[Plan]:
    return make_plan(told.rules)


def rows(*steps: int) -> tuple[dict[str, Any], ...]:
    about = {"loss": 1.0, "accuracy": 0.5, "nll": 2.0, "n": 3}
    return tuple({"step": step, "domain": name, **about} for step in steps for name in ("print", "handwritten"))


def test_a_training_that_goes_on_tells_what_came_before_once(plan: Plan) -> None:
    """Resumed at step 2; its worker dies after step 3 and another goes on from there; then it is found done."""
    heard: list[Event] = []
    tracking, training = Tracking(plan, [heard.append]), next(iter(plan.trainings))
    run = next(run for run in plan.runs.values() if run.training == training)
    tracking.hear(training, Measured(training, 2, rows(1, 2)))
    tracking.hear(training, Measured(training, 3, rows(3)))
    tracking.hear(training, Measured(training, 2, rows(1, 2)))
    tracking.hear(training, Measured(training, 3, rows(3)))
    tracking.hear(training, Measured(training, 4, rows(4)))
    metric = {"step": 4, "split": "validation", "domain": "print", "view": "clean", "accuracy": 0.5}
    for _ in range(2):
        tracking.hear(training, Predicted(run.id, (metric,)))
        tracking.ended(training, "ok")
    assert [type(event) for event in heard] == [TrainingBegins, *[Checkpoint] * 4, Validated, TrainingEnds]
    assert heard[0].step == 2  # type: ignore[union-attr]
    assert [event.step for event in of(heard, Checkpoint)] == [1, 2, 3, 4]
    assert of(heard, Checkpoint)[0] == Checkpoint(
        training, 1, 1.0, {"print": 0.5, "handwritten": 0.5}, {"print": 2.0, "handwritten": 2.0}
    )


def test_a_training_that_never_began_ends_with_its_status_and_cause(plan: Plan) -> None:
    heard: list[Event] = []
    training = next(iter(plan.trainings))
    Tracking(plan, [heard.append]).ended(training, "out of memory", "x" * (LONGEST + 5))
    begins, ends = heard
    assert isinstance(begins, TrainingBegins)
    assert begins.step == 0
    assert ends == TrainingEnds(training, "out of memory", "x" * LONGEST)


def test_work_that_is_broken_off_is_told_as_stopped(plan: Plan) -> None:
    heard: list[Event] = []
    first, second, *_ = plan.trainings
    run = next(run for run in plan.runs.values() if run.training == first)

    def work(tracking: Tracking) -> None:
        for _ in range(2):  # as workers may that take over
            tracking.hear(first, Predicted(run.id, ()))
            tracking.ended(first, "ok")
            tracking.ended(second, "diverged")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), tracked(plan, [heard.append]) as tracking:
        work(tracking)
    assert heard[-1] == BoardEnds("small", "stopped", trainings=1, runs=1, failed=1)


def test_an_unknown_tracker_is_answered_with_the_nearest(tmp_path: Path, told: Told) -> None:
    with pytest.raises(UnknownNameError, match=r"no tracker named 'tensorbord'.*tensorboard"):
        boards.run(told.rules, store=tmp_path, trackers=["tensorbord:logs"])
    assert not list(tmp_path.iterdir())
    with pytest.raises(DGBenchError, match="expected a list, got the text 'mlflow'"):
        boards.run(told.rules, store=tmp_path, trackers="mlflow")


def test_where_nothing_can_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DGBenchError, match=r"the tracker 'tensorboard:.*file' cannot begin: FileExistsError"):
        named(f"tensorboard:{tmp_path / 'file'}")


@pytest.mark.parametrize("name", NAMES)
def test_a_package_that_is_missing_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(DGBenchError) as caught:
        named(f"{name}:somewhere")
    assert str(caught.value) == (
        f"the tracker '{name}' needs the package '{name}', which is not here: pip install 'dgbench[{name}]'"
    )
