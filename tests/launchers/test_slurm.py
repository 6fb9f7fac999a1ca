"""What Slurm refuses, and what goes wrong beside its jobs: whoever waits is told, and no training is lost to it."""

from __future__ import annotations

import errno
import logging
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import called
import pytest
from submitit.core.utils import FailedJobError

from dgbench.core.disk import DiskError
from dgbench.launchers import opened, slurm
from dgbench.launchers.far import RefusedError


class Job:
    """A job that is over at once."""

    job_id = "17"

    def __init__(self, result: Callable[[], bytes]) -> None:
        self.result = result
        self.cancelled = False

    def done(self) -> bool:
        return True

    def cancel(self, check: bool) -> None:
        self.cancelled = not check


class Executor:
    """In place of submitit's: refuses arrays larger than it may take now, and answers what it is told to."""

    def __init__(self, limits: list[int], result: Callable[[], bytes]) -> None:
        self.limits, self.result = limits, result
        self.sizes: list[int] = []
        self.jobs: list[Job] = []

    @contextmanager
    def batch(self) -> Iterator[None]:
        self.sizes.append(0)
        yield
        limit = self.limits.pop(0) if self.limits else 100
        if self.sizes[-1] > limit:
            raise FailedJobError("sbatch: error: Batch job submission failed: Socket timed out")

    def submit(self, job: object) -> Job:
        self.sizes[-1] += 1
        self.jobs.append(Job(self.result))
        return self.jobs[-1]


def answer() -> bytes:
    return pickle.dumps(([], "answer", "cpu"))


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(slurm, "GATHER", 0.02)
    monkeypatch.setattr(slurm, "LOOK", 0.02)
    monkeypatch.setattr(slurm, "AGAIN", 0.02)
    return opened("slurm", ("cpu",), 8, {"cluster": "local", "folder": str(tmp_path / "jobs")}, called.nothing)


def test_what_slurm_refuses_is_handed_over_again_in_smaller_arrays(
    launcher: Any, caplog: pytest.LogCaptureFixture
) -> None:
    executor = launcher._executor = Executor([100, 0, 0, 3, 0], answer)
    with caplog.at_level(logging.WARNING), launcher:
        assert launcher.submit(called.placed, 0).result(20) == "cpu"
        launcher._again = slurm.time.monotonic() + 0.3  # so that all are there
        futures = [launcher.submit(called.placed, 0) for _ in range(8)]
        assert [future.result(20) for future in futures] == ["cpu"] * 8
    assert executor.sizes == [1, 8, 4, 2, 4, 2, 4]
    said = [one.getMessage() for one in caplog.records]
    assert len(said) == 2, "once each time that it begins"
    assert "Slurm refuses jobs (sbatch: error: Batch job submission failed: Socket timed out)" in said[0]


def test_a_limit_below_what_is_ready_at_first_is_found(launcher: Any) -> None:
    executor = launcher._executor = Executor([3, 3], answer)
    futures = [launcher.submit(called.placed, 0) for _ in range(8)]
    with launcher:
        assert [future.result(20) for future in futures] == ["cpu"] * 8
    assert executor.sizes == [8, 4, 2, 4, 2]


def test_where_slurm_takes_not_even_the_first_job_all_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With submitit itself, and an ``sbatch`` that refuses."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, does in {
        "srun": "",
        "sbatch": f"cat ${{!#}} >> {tmp_path}/asked; echo 'sbatch: error: invalid partition' >&2; exit 1",
    }.items():
        (programs / name).write_text(f"#!/bin/bash\n{does}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    launcher = opened("slurm", ("cpu",), 4, {"folder": str(tmp_path / "jobs")}, called.nothing)
    futures = [launcher.submit(called.placed, 0) for _ in range(4)]
    with launcher:
        errors = [future.exception(20) for future in futures]
    assert {(type(error), str(error)) for error in errors} == {
        (RefusedError, "Slurm takes no job: sbatch: error: invalid partition")
    }
    asked = (tmp_path / "asked").read_text()
    assert re.findall(r"--array=0-(\d)", asked) == ["3", "1"], "four, two, and one, which is no array"
    assert asked.count("#!/bin/bash") == 3


def test_a_full_folder_ends_all_and_an_answer_that_cannot_be_read_its_call_alone(launcher: Any) -> None:
    def lost() -> bytes:
        raise OSError(errno.ESTALE, "Stale file handle")

    def full(job: object) -> Job:
        raise OSError(errno.ENOSPC, "No space left on device")

    with launcher:
        for result, error in ((lost, OSError), (lambda: b"no pickle", pickle.UnpicklingError)):
            launcher._executor = Executor([], result)
            assert isinstance(launcher.submit(called.placed, 0).exception(20), error)
        launcher._executor = Executor([], answer)
        launcher._executor.submit = full
        assert isinstance(launcher.submit(called.placed, 0).exception(20), DiskError)
        launcher._executor = Executor([], answer)
        assert launcher.submit(called.placed, 0).result(20) == "cpu", "it is still there"


def test_jobs_that_nobody_follows_any_more_are_cancelled(launcher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    executor, followed = Executor([], answer), launcher._settled
    launcher._executor = executor

    def fails(job: Job, call: object) -> bool:
        monkeypatch.setattr(launcher, "_settled", followed)
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(launcher, "_settled", fails)
    with launcher:
        assert str(launcher.submit(called.placed, 0).exception(20)) == "not foreseen"
        assert launcher.submit(called.placed, 0).result(20) == "cpu", "it is still there"
    assert [job.cancelled for job in executor.jobs] == [True, False]
