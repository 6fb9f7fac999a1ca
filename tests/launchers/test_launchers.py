"""What every launcher owes to those who have work: answers, exceptions as they are, notes, and lost workers."""

import contextlib
import importlib
import os
import pickle
import signal
import sys
import time
import types
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest import mock

import called
import pytest
from launchers import fake_ray
from nursery import python
from submitit.core.core import Job

from dgbench.core.disk import DiskError
from dgbench.core.errors import DGBenchError, DivergedError, UnknownNameError
from dgbench.core.processes import Pool, WorkerDiedError
from dgbench.launchers import NAMES, Launcher, opened
from dgbench.launchers.far import Call
from dgbench.launchers.local import LEFT_FREE, Local
from dgbench.runs.jobs import LostError


def pretend_ray(monkeypatch: pytest.MonkeyPatch, pool: Pool | None) -> None:
    """Have the launcher find a Ray whose workers are a pool's, until the test is over."""
    ray, exceptions = fake_ray.modules(pool)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", exceptions)
    monkeypatch.setitem(sys.modules, "dgbench.launchers.ray", None)  # so that what was there comes back, or nothing
    del sys.modules["dgbench.launchers.ray"]


@contextlib.contextmanager
def slurm_here(folder: Path, workers: int, **options: str) -> Iterator[Launcher]:
    """What submitit does without Slurm; what it starts in the end are copies.

    For what a dead job may have left it looks 15 seconds, as a disk of a network may show it late; this disk does not.
    """
    asked = {"cluster": "local", "folder": str(folder / "jobs")} | options
    with mock.patch.object(Job, "_results_timeout_s", 0):
        with mock.patch.object(sys, "executable", python()):
            launcher = opened("slurm", ("cpu",), workers, asked, called.nothing)
        yield launcher


@pytest.fixture(params=NAMES)
def launcher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Launcher]:
    """Each of them: Ray is pretended, and Slurm is what submitit does without it."""
    match request.param:
        case "ray":
            with Pool(2, os.getpid) as pool:
                pretend_ray(monkeypatch, pool)
                yield opened("ray", ("cpu",), None, {}, called.nothing)
        case "slurm":
            with slurm_here(tmp_path, 2) as slurm:
                yield slurm
        case name:
            yield opened(name, ("cpu",), 2, {}, called.nothing)


def test_answers_errors_notes_and_deaths_come_back(launcher: Launcher) -> None:
    """Whatever an engine wraps them in; all are on their way at once, since starting a job takes an engine a while."""
    errors = [LostError("training", "5eed"), DiskError("the disk is full"), DivergedError(3)]
    notes: list[int] = []
    with launcher:
        answer = launcher.submit(called.counted, 3, tell=notes.append)
        raising = [launcher.submit(called.raises, error) for error in errors]
        dead = launcher.submit(called.ends)
        assert answer.result(120) == "cpu"
        assert notes == [0, 1, 2], "at the latest before the answer, each once, in their order"
        for error, future in zip(errors, raising, strict=True):
            found = future.exception(120)
            assert type(found) is type(error)
            assert str(found) == str(error)
            assert "in raises" in found.__notes__[0], "where in the code"
        assert (raising[0].exception().kind, raising[2].exception().step) == ("training", 3)  # type: ignore[union-attr]
        with pytest.raises(WorkerDiedError, match="the worker process "):
            dead.result(120)


def test_a_job_that_slurm_takes_back_keeps_its_step_and_goes_on_from_there(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with slurm_here(tmp_path, 1, notice="5") as launcher, launcher:
        future = launcher.submit(called.steps_until_asked, kept)
        deadline = time.monotonic() + 120
        while not (begun := kept.with_suffix(".begun")).is_symlink():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(int(str(begun.readlink())), signal.SIGUSR2)  # as Slurm does when it takes a job back
        done = future.result(120)
    assert done == int(kept.read_text()) + 1, "one step more than was kept, in a process of its own"


@pytest.mark.parametrize(
    ("device", "options", "says"),
    [
        ("cpu", {"cpus": "2", "memory_gb": "4"}, ""),
        ("cuda", {}, "no node for a job now (CPU 1, GPU 1): jobs wait until one joins it"),
        ("cpu", {"cpus": "3"}, "no node for a job now (CPU 3)"),
        ("cpu", {"memory_gb": "64"}, "no node for a job now (CPU 1, 64 GB)"),
    ],
)
def test_what_no_node_of_ray_has_is_waited_for_with_a_word(
    device: str, options: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Pool(1, os.getpid) as pool:
        pretend_ray(monkeypatch, pool)
        opened("ray", (device,), None, options, called.nothing)
    assert says in caplog.text
    assert bool(says) == bool(caplog.records)


def test_an_answer_of_ray_that_cannot_be_read_is_waited_for_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_ray(monkeypatch, None)
    cluster: Any = importlib.import_module("dgbench.launchers.ray").RayCluster
    call, done = Call(called.placed, (0,), None), Future[bytes]()
    done.set_result(b"no pickle")
    cluster._settle(types.SimpleNamespace(_calls={1: call}, _refs={}), 1, done)
    assert isinstance(call.future.exception(0), pickle.UnpicklingError)


@pytest.mark.parametrize(
    ("says", "reads"), [("the node died\nits log: ...", "RayError: the node died"), ("", "RayError: RayError")]
)
def test_what_ray_loses_is_waited_for_by_nobody(says: str, reads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_ray(monkeypatch, None)
    cluster: Any = importlib.import_module("dgbench.launchers.ray").RayCluster
    call, done = Call(called.placed, (0,), None), Future[bytes]()
    done.set_exception(fake_ray.RayError(says))
    cluster._settle(types.SimpleNamespace(_calls={1: call}, _refs={}), 1, done)
    assert str(call.future.exception(0)) == f"the worker process is lost ({reads})"


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DGBenchError, match=r"needs the package 'ray', which is not here: pip install 'dgbench\[ray\]'"):
        opened("ray", ("cpu",), None, {}, called.nothing)


@pytest.mark.parametrize(
    ("name", "device", "options", "says"),
    [
        ("rya", "cpu", {}, "no launcher named 'rya'. Did you mean 'ray'"),
        ("slurm", "cpu", {"partitoin": "gpu"}, "no option of the launcher 'slurm' named 'partitoin'. Did you mean 'pa"),
        ("slurm", "cpu", {"time": "soon"}, "option 'time' of the launcher 'slurm': Input should be a valid integer"),
        (
            "slurm",
            "cpu",
            {"time": "0"},
            "option 'time' of the launcher 'slurm': Input should be greater than or equal to 1",
        ),
        ("slurm", "cpu", {"parallel": "0"}, "option 'parallel' of the launcher 'slurm': Input should be greater than"),
        (
            "slurm",
            "cpu",
            {"time": "1"},
            "'notice' of the launcher 'slurm': 90 seconds before its time limit a job of 1",
        ),
        (
            "ray",
            "cpu",
            {"cpus": "0"},
            "option 'cpus' of the launcher 'ray': Input should be greater than 0, and got '0'",
        ),
        ("ray", "cpu", {"memory_gb": "-1"}, "option 'memory_gb' of the launcher 'ray': Input should be greater than 0"),
        ("slurm", "auto", {"cluster": "local"}, "'auto' does not say what to ask for; say 'cuda' for one GPU a job"),
        ("local", "cpu", {"time": "1"}, "the launcher 'local' has no options, and 'time' is given to it"),
    ],
)
def test_what_cannot_be_is_said_before_anything_begins(
    name: str, device: str, options: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_ray(monkeypatch, None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises((DGBenchError, UnknownNameError)) as caught:
        opened(name, (device,), None, options, called.nothing)
    assert says in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_workers_are_spread_over_devices_and_each_stays_on_its_own() -> None:
    with Local(("cpu:0", "cpu:1"), 4, called.nothing) as launcher:
        waiting = [launcher.submit(called.placed, 0.5) for _ in range(4)]
        found = [future.result() for future in waiting]
        again = [launcher.submit(called.placed, 0.1).result() for _ in range(3)]
    assert sorted(device for device, _ in found) == ["cpu:0", "cpu:0", "cpu:1", "cpu:1"]
    assert {*again} <= {*found}, "a process does not move to another device"
    with Local(("cpu:0", "cpu:1"), 1, called.nothing) as launcher:
        assert launcher.submit(called.placed, 0).result()[0] == "cpu:0"


def test_left_by_an_error_all_devices_stop_at_once(tmp_path: Path) -> None:
    devices = ("cpu:0", "cpu:1", "cpu:2")

    def interrupted() -> None:
        with Local(devices, 3, called.nothing) as launcher:
            for _ in devices:
                launcher.submit(called.stops_beside, tmp_path, 2)
            deadline = time.monotonic() + 60
            while len(list(tmp_path.iterdir())) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sorted(path.name for path in tmp_path.glob("* beside all")) == [f"{device} beside all" for device in devices]


def test_what_takes_no_more_than_there_is_shares_a_device() -> None:
    with Local(("cpu:0", "cpu:1"), 8, called.nothing) as launcher:

        def begin(share: float) -> "Future[Any]":
            assert launcher.admits(share)
            return launcher.submit(called.placed, 1.0, share=share)

        first = begin(1.0)
        others = [begin(0.4), begin(0.4)]
        assert not launcher.admits(1.0), "there is no idle device for what must have one to itself"
        assert not launcher.admits(0.2), "beyond what is left free"
        assert launcher.admits(1 - LEFT_FREE - 0.8)
        assert launcher.admits(0.0), "what takes none finds room"
        assert {future.result()[0] for future in others} == {"cpu:1"}
        assert first.result()[0] == "cpu:0"
        deadline = time.monotonic() + 20
        while not launcher.admits(1.0) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert launcher.admits(1.0)
