"""Several devices: which ones a name means, and that a board on pretended ones is the board of one."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from dgbench.api import boards
from dgbench.core.cards import CaseRules
from dgbench.core.errors import DGBenchError
from dgbench.launchers import Launcher
from dgbench.runs import device, shares
from dgbench.runs.device import at_once, default_workers, resolve_devices
from dgbench.runs.jobs import Job
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


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have torch see so many CUDA devices."""

    def see(count: int) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: count)
        monkeypatch.setattr(device, "_no_accelerator", lambda: count == 0)

    return see


@pytest.mark.parametrize(
    ("count", "name", "devices"),
    [
        (3, "auto", ("cuda:0", "cuda:1", "cuda:2")),
        (3, "cuda", ("cuda:0", "cuda:1", "cuda:2")),
        (3, "cuda:0,2", ("cuda:0", "cuda:2")),
        (3, "cuda:2,cuda:0, 2", ("cuda:2", "cuda:0")),
        (1, "cuda", ("cuda",)),
        (3, "cpu", ("cpu",)),
        (0, "auto", ("cpu",)),
    ],
)
def test_a_name_means_these_devices(
    count: int, name: str, devices: tuple[str, ...], cards: Callable[[int], None]
) -> None:
    cards(count)
    assert resolve_devices(name) == devices


@pytest.mark.parametrize(
    ("count", "name", "says"),
    [
        (2, "cuda:2", "device 'cuda:2' is not there; this machine has 'cuda:0', 'cuda:1'"),
        (0, "cuda:0", "device 'cuda' is not there; this machine has cpu"),
        (2, "cuda:0,mps", "'cuda:0,mps' is none; write numbers of one kind, as in 'cuda:0,2'"),
        (2, "cuda:", "'cuda:' is none"),
        (2, "cdua", "there is no 'cdua'. Did you mean 'cuda'"),
        (2, "gpu:0", "there is no 'gpu'"),
    ],
)
def test_what_is_no_device_is_refused(count: int, name: str, says: str, cards: Callable[[int], None]) -> None:
    cards(count)
    with pytest.raises(DGBenchError) as caught:
        resolve_devices(name)
    assert says in str(caught.value)


def test_by_default_a_few_processes_share_each_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cores", lambda: 6)
    assert default_workers(("cpu",)) == 6
    assert default_workers(("cuda",)) == 4
    assert default_workers(("cuda:0", "cuda:1")) == 6, "no more than there are cores"
    assert default_workers(tuple(f"cuda:{n}" for n in range(8))) == 8, "one for each card in any case"
    assert default_workers(("mps",)) == 1
    assert (at_once(("cpu",), 6), at_once(("cuda:0", "cuda:1"), 6)) == (6, 2)


def contents(root: Path) -> dict[str, str]:
    found = [*root.glob("trainings/*/weights/*"), *root.glob("runs/*/predictions.parquet")]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_a_board_on_two_devices_is_the_board_on_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = small_board("erm", "sam", steps=2).model_copy(update={"cases": {"digits": CaseRules(targets=("print",))}})
    boards.run(board, store=tmp_path / "one", device="cpu", workers=1)
    monkeypatch.setattr(device, "_count", lambda kind: 2)
    assert resolve_devices("cpu") == ("cpu:0", "cpu:1")
    summary = boards.run(board, store=tmp_path / "two", device="cpu", workers=2)
    assert (summary.trainings, summary.runs, summary.failed) == (2, 2, {})
    assert contents(tmp_path / "one") == contents(tmp_path / "two") != {}


class Card:
    """A launcher that does nothing and measures: a job takes 30 %, or more, and finds no memory once it shares."""

    workers = 8

    def __init__(self, memory: bool, takes: float = 0.3) -> None:
        self.memory = memory
        self.takes = takes
        self.asked: list[tuple[str, float]] = []

    def admits(self, share: float) -> bool:
        return True

    def submit(self, do: object, job: Job, *arguments: object, share: float, **named: object) -> "Future[Any]":
        self.asked.append((job.id, share))
        future: Future[Any] = Future()
        if self.memory or share == 1.0:
            future.set_result(self.takes)
        else:
            future.set_exception(RuntimeError("CUDA out of memory"))
        return future


@pytest.mark.parametrize("memory", [True, False])
def test_the_first_of_a_kind_is_measured_alone_and_what_finds_no_memory_is_done_alone(
    memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    plan, store = make_plan(small_board("erm", trials=2)), Store(tmp_path / "store")
    units = units_of(plan, todo(plan, store))

    def go(units: list[Any], takes: float = 0.3) -> list[tuple[str, float]]:
        card = Card(memory, takes)
        with closing(Room(units, {}, {})) as room:
            sweep = Sweep(plan, store, cast("Launcher", card), room, Shares("a card"), Silent(), Tracking(plan))
            sweep.run(units)
        assert sweep.failures == {}
        return card.asked

    assert go(units[:1]) == [(units[0].id, 1.0)], "nobody knows yet what it takes"
    shared = [(unit.id, 0.3) for unit in units[1:]]
    asked = go(units[1:], 0.5)
    assert asked[: len(shared)] == shared, "as the cache has it from an earlier sweep, of another trial and target"
    assert sorted(asked[len(shared) :]) == ([] if memory else sorted((unit.id, 1.0) for unit in units[1:]))
    assert Shares("a card").of(units[0]) == (0.3 if memory else 0.5), "later sweeps begin with what it really takes"
    assert Shares("").of(units[0]) == 0.0, "where nothing is measured nothing is taken"
    assert Shares("another card").of(units[0]) == 1.0


def test_the_cache_is_asked_once_about_a_kind_and_not_before_a_job_of_it_could_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    plan, store = make_plan(small_board("lp_ft")), Store(tmp_path / "store")
    units, card = units_of(plan, todo(plan, store)), Card(memory=True)
    happens: list[str] = []

    def nothing_is_known(*of: object) -> None:
        happens.append("asked")

    def admits(share: float) -> bool:
        happens.append("begins")
        return True

    monkeypatch.setattr(shares, "what_is_known", nothing_is_known)
    monkeypatch.setattr(card, "admits", admits)
    with closing(Room(units, {}, {})) as room:
        sweep = Sweep(plan, store, cast("Launcher", card), room, Shares("a card"), Silent(), Tracking(plan))
        sweep.run(units)
    probes = sum(not unit.needs() for unit in units)
    tuned = len(units) - probes
    assert happens == ["asked", *probes * ["begins"], "asked", *tuned * ["begins"]]


def test_what_was_measured_holds_for_nothing_that_takes_memory_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    plan, store = make_plan(small_board("erm", trials=2)), Store(tmp_path / "store")
    first, *others = units_of(plan, todo(plan, store))
    shares = Shares("a card")
    shares.note(first, 0.3)
    assert [shares.of(one) for one in others] == [0.3] * len(others)
    for other in (
        replace(first, division=Division(micro_batch=4)),
        replace(first, division=Division(2)),
        replace(first, checkpointing=True),
        replace(first, training=replace(first.training, dataset="another")),
    ):
        assert shares.of(other) == 1.0
