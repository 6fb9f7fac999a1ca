"""A sweep goes on: parts that end their process, workers that are killed, rivals; and it ends where nothing helps."""

import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import called
import pytest
from nursery import python
from rival import does_a_board

from dgbench.api import boards
from dgbench.core import processes, registry
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules, SplitRules
from dgbench.core.disk import DiskError
from dgbench.core.paths import shipped
from dgbench.core.processes import Pool
from dgbench.data import catalogue
from dgbench.runs.events import BoardEnds, Event, Tracker, TrainingBegins, TrainingEnds
from dgbench.runs.failures import Failure, by_kind
from dgbench.runs.launch import Summary
from dgbench.runs.planning import make_plan
from dgbench.runs.progress import Log
from small import small_board

HAZARD = '''
import errno, os, signal, sys, time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from dgbench.algorithms.slots import Objective
from dgbench.core.files import whole

@dataclass(frozen=True)
class Hazard(Objective):
    """Ends its process, every time or the first time."""

    how: Literal[
        "exits", "ends", "is killed late", "raises", "has no memory", "is killed once", "raises once",
        "writes for ever", "fills the disk",
    ] = "raises"

    def loss(self, forward):
        marker = Path(os.environ["HAZARD"]) / f"{len(set(forward.batch.domain.tolist()))}-{self.how}"
        if self.how.endswith(" once"):
            try:
                marker.touch(exist_ok=False)
            except FileExistsError:
                return forward.cross_entropy.mean()
        if self.how.endswith(" late") and forward.step < 3:
            return forward.cross_entropy.mean()
        match self.how.removesuffix(" once").removesuffix(" late"):
            case "exits":
                sys.exit(3)
            case "ends":
                os._exit(3)
            case "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raises":
                raise ValueError(f"no luck at step {forward.step}")
            case "has no memory":
                forward.cross_entropy.new_empty(1 << 60)
            case "writes for ever":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as where a library comes back to Python late
                folders = marker.parents[1].glob("store/trainings/*")
                (mine,) = [folder for folder in folders if self.how in (folder / "spec.json").read_text()]
                with whole(mine / "history.parquet") as temporary:
                    temporary.write_text("half")
                    marker.touch()
                    time.sleep(60)
            case "fills the disk":
                while not list(marker.parent.iterdir()):
                    time.sleep(0.01)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
'''
CARD = """
name = "{name}"
title = "Hazard {how}"
summary = "Ends its process."
[paper]
title = "None"
authors = ["None"]
venue = "None"
year = 2026
[recipe.objective]
part = "hazard"
how = "{how}"
"""


TARGETS = ("print", "dot-matrix")


@pytest.fixture
def hazard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with a part that is no good, installed for this test."""
    site = tmp_path / "site"
    (site / "hazard-1.0.dist-info").mkdir(parents=True)
    (site / "hazard.py").write_text(HAZARD)
    (site / "hazard-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: hazard\nVersion: 1.0\n")
    (site / "hazard-1.0.dist-info" / "entry_points.txt").write_text(
        "[dgbench.parts]\nobjective.hazard = hazard:Hazard\n"
    )
    (tmp_path / "markers").mkdir()
    monkeypatch.setenv("HAZARD", str(tmp_path / "markers"))
    monkeypatch.syspath_prepend(site)
    _forget_parts()
    yield tmp_path
    _forget_parts()


def _forget_parts() -> None:
    for function in vars(registry).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def card(folder: Path, how: str) -> str:
    path = folder / f"hazard_{how.replace(' ', '_')}.toml"
    path.write_text(CARD.format(name=path.stem, how=how))
    return str(path)


def hazardous(*algorithms: str, targets: Sequence[str] = TARGETS) -> BoardCard:
    """Few images are looked at."""
    board = small_board(*algorithms, backbone="dgbench:convnet-small", split=SplitRules(validation=0.02, test=0.02))
    changes = {"cases": {"digits": CaseRules(targets=tuple(targets))}, "selection": SelectionRules(views_per_domain=2)}
    return board.model_copy(update=changes)


def go(folder: Path, *algorithms: str, trackers: Sequence[Tracker] = (), targets: Sequence[str] = TARGETS) -> Summary:
    board = hazardous(*algorithms, targets=targets)
    return boards.run(board, store=folder / "store", device="cpu", workers=2, trackers=trackers)


def notes(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "store" / "failures").glob("*.json"))]


ENDS = {
    "exits": "SystemExit: 3",
    "raises": "ValueError: no luck at step 0",
    "ends": "the worker process ended itself with exit code 3, and so did the one that tried it before",
    "is killed late": "was ended by SIGKILL (as happens where memory runs out), and so did the one",
    "has no memory": "can't allocate memory",
}


def test_parts_that_end_their_process_end_their_trainings_alone(
    hazard: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGBENCH_STATE_EVERY", "0")
    heard: list[Event] = []
    algorithms = ["erm", *(card(hazard, how) for how in ENDS)]
    summary = go(hazard, *algorithms, trackers=[heard.append])
    assert (summary.trainings, summary.runs) == (2, 2), "all of the other"
    assert len(summary.failed) == 2 * len(ENDS)
    ended = [event for event in heard if isinstance(event, TrainingEnds)]
    assert {event.training for event in ended if event.status != "ok"} == {*summary.failed}
    assert [event.status for event in ended].count("ok") == 2
    assert sum(isinstance(event, TrainingBegins) for event in heard) == 2 + 2 * len(ENDS)
    assert heard[-1] == BoardEnds("small", "failed", trainings=2, runs=2, failed=2 * len(ENDS))
    lines = list(by_kind(summary.failed.values()))
    assert len(lines) == len(ENDS)
    shown = boards.leaderboard(hazardous(*algorithms), store=hazard / "store").failed
    assert len(shown) == len(summary.failed), "the board counts them"
    noted = notes(hazard)
    assert {note["training"] for note in noted} == set(summary.failed)
    for how, says in ENDS.items():
        failed = {id_: one for id_, one in summary.failed.items() if one.algorithm == f"Hazard {how}"}
        assert all(says in one.error for one in failed.values())
        assert {one.target for one in failed.values()} == set(TARGETS)
        assert all(says in event.cause for event in ended if event.training in failed)
        (line,) = [line for line in lines if line.startswith(f"Hazard {how}, target ")]
        assert "(and 1 more): " in line
        own = [note for note in noted if note["algorithm"] == f"Hazard {how}"]
        assert [note["trial"] for note in own] == [0, 0]
        status = "out of memory" if how == "has no memory" else "failed"
        assert {(note["status"], note["last_step"]) for note in own} == {(status, 2 if how.endswith("late") else 0)}
        assert all(("in loss" in str(note["trace"])) == (how in ("raises", "has no memory")) for note in own), how
    assert "Traceback" not in caplog.text


def test_a_job_whose_worker_died_is_tried_once_more(hazard: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    summary = go(hazard, card(hazard, "is killed once"), trackers=[heard.append])
    assert sum(isinstance(event, TrainingBegins) for event in heard) == 2, "each training once"
    assert (summary.trainings, summary.runs, summary.failed) == (2, 2, {})
    assert "Hazard is killed once, target" in caplog.text
    assert "it is tried once more" in caplog.text


def test_what_failed_is_noted_until_it_is_done(hazard: Path) -> None:
    first = go(hazard, card(hazard, "raises once"))
    assert (len(first.failed), first.trainings) == (1, 1)
    assert [note["error"] for note in notes(hazard)] == ["ValueError: no luck at step 0"]
    again = go(hazard, card(hazard, "raises once"))
    assert (again.failed, again.trainings, again.runs) == ({}, 1, 1)
    assert notes(hazard) == []


def test_what_builds_on_a_failure_fails_with_its_reason(tmp_path: Path) -> None:
    board = small_board("wise_ft", "linear_probe")
    rules = board.model_copy(update={"overrides": {"linear_probe": {"optimizer.lr": 1e30}}})
    summary = boards.run(rules, store=tmp_path, device="cpu")
    reasons = sorted(failed.error[:35] for failed in summary.failed.values())
    assert summary.trainings == 0
    assert reasons[0].startswith("training diverged")
    assert reasons[-1].startswith("what it builds on failed: training")


def test_a_folder_that_takes_nothing_is_no_training_s_fault(hazard: Path) -> None:
    stream = io.StringIO()
    board = small_board("erm", steps=2).model_copy(update={"cases": {"digits": CaseRules(targets=TARGETS[:1])}})
    first = boards.run(board, store=hazard / "store", device="cpu", workers=1)
    assert (first.trainings, first.runs) == (1, 1)
    (history,) = (hazard / "store").glob("trainings/*/done.json")
    blocked = hazard / "store" / "runs"
    shutil.rmtree(blocked)
    blocked.symlink_to("/dev/full")
    with pytest.raises(DiskError):
        boards.run(board, store=hazard / "store", device="cpu", workers=1, progress=Log(stream, every=0))
    assert history.exists()
    assert not list((hazard / "store").glob("failures/*"))


def test_planning_says_what_it_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = catalogue.load("digits")
    monkeypatch.setattr(catalogue, "build", lambda *_: built)
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    told: list[tuple[str, int, int]] = []
    make_plan(small_board("erm"), fetch=True, reading=lambda *said: told.append(said))
    first, *_, last = told
    assert first[:2] == ("digits", 0)
    assert last == ("digits", first[2], first[2])
    assert first[2] == sum(map(len, built.domains))


def test_kinds_of_failures_have_a_line_each() -> None:
    failed = [Failure(f"{n:016x}", "ERM", f"t{n}", n, f"training {n:016x} diverged at step {n}") for n in range(5)]
    other = Failure("f" * 16, "SAM", "t", 0, "no memory")
    assert by_kind([*failed, other]) == [
        "ERM, target t0, trial 0 (and 4 more): training 0000000000000000 diverged at step 0",
        "SAM, target t, trial 0: no memory",
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("only an administrator can make a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def half_written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if not path.name.endswith(".lock")]


def test_a_full_disk_ends_everything_with_one_message(small_disk: Path) -> None:
    board = small_board("erm", "sam", trials=3)
    with pytest.raises(DiskError) as caught:
        boards.run(board, store=small_disk, device="cpu", workers=2)
    said = str(caught.value)
    assert "\n" not in said
    assert "the disk is full: " in said
    assert f"{small_disk}/" in said
    assert "takes more than the" in said
    assert half_written(small_disk) == []
    assert not (small_disk / "failures").exists(), "no training is to blame"


def test_a_worker_that_has_to_be_killed_at_the_end_leaves_nothing(
    hazard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.1)
    with pytest.raises(DiskError, match="the disk is full"):
        go(hazard, card(hazard, "writes for ever"), card(hazard, "fills the disk"), targets=TARGETS[:1])
    assert list((hazard / "markers").glob("*-writes for ever")), "it was amid writing"
    assert half_written(hazard / "store") == []
    assert not list((hazard / "store" / "locks").iterdir())


def test_a_full_disk_while_drawing_is_the_same_error(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dgbench.data.cache.views import Shifted
    from dgbench.data.catalogue import load

    dataset = load("digits")
    monkeypatch.setenv("DGBENCH_CACHE", str(small_disk))
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "none")
    (small_disk / "fill").write_bytes(b"x" * 900_000)
    with pytest.raises(DiskError, match="the disk is full"):
        Shifted(dataset, "print", __import__("numpy").arange(200), "blur").draw()
    assert {path.name for path in half_written(small_disk)} <= {".clock"}


def test_on_a_small_disk_what_was_drawn_last_makes_room_for_itself(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dgbench.data.cache.views import Shifted, undrawn
    from dgbench.data.catalogue import load

    dataset, rows = load("digits"), __import__("numpy").arange(100)
    families = ["color", "contrast", "weather", "geometric", "arithmetic"]
    monkeypatch.setenv("DGBENCH_CACHE", str(small_disk))
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "none")
    pieces = [(domain.name, family) for domain in dataset.domains for family in families]
    for domain, family in pieces:  # 77 kB each, and 8 for checksums
        Shifted(dataset, domain, rows, family).draw()
    there = [len(undrawn(dataset, domain, rows, family)) == 0 for domain, family in pieces]
    assert there == sorted(there), "the first are gone"
    assert 8 < sum(there) < 14


def run_quick(cwd: Path, steps: int, *options: str) -> "subprocess.Popen[str]":
    """``dgbench run`` on two trainings that take their time."""
    text = (shipped("leaderboards") / "quick" / "board.toml").read_text(encoding="utf-8")
    text = text.replace('name = "quick"', 'name = "mine"').replace("@letters", "")
    text += f"\n[cases.digits]\ntargets = {json.dumps(TARGETS)}\n[selection]\nviews_per_domain = 5\n"
    (cwd / "mine.toml").write_text(text.replace("steps = 100", f"steps = {steps}"))
    command = ["-m", "dgbench.cli", "run", "mine.toml", "-a", "erm", "--trials", "1", "--store", "store"]
    return subprocess.Popen(
        [python(), *command, "--device", "cpu", "--workers", "2", *options],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(process: int) -> set[int]:
    """The ids of the processes that a process has started and not ended."""
    threads = Path(f"/proc/{process}/task")
    return {int(pid) for path in threads.glob("*/children") for pid in path.read_text().split()}


def copies() -> set[int]:
    """The ids of the processes that are copies, of programs and of workers."""
    return {copy for nursery in children(os.getpid()) for copy in children(nursery)}


def wait_for(process: "subprocess.Popen[str]", path: Path, pattern: str) -> None:
    deadline = time.monotonic() + 120
    while not list(path.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in /proc")


@linux
def test_sigterm_is_answered_like_ctrl_c(tmp_path: Path) -> None:
    python()  # so that who is copied is there
    before = copies()
    process = run_quick(tmp_path, 200, "--keep", "all")
    wait_for(process, tmp_path, "store/trainings/*/weights/000020.safetensors")
    begun = copies() - before - children(process.pid)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143
    assert said.splitlines()[-1].startswith("stopped; what is finished is kept")
    assert "Traceback" not in said
    assert len(begun) == 3, "a program and two workers"
    assert not any(Path(f"/proc/{one}").exists() for one in begun)
    assert half_written(tmp_path / "store") == []
    kept = [json.loads(path.read_text())["step"] for path in tmp_path.glob("store/trainings/*/state/last.json")]
    assert max(kept) >= 20, "what was done is kept, though checkpoints of small networks seldom leave a state"


@linux
def test_a_worker_that_another_process_kills_costs_nothing_but_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before, killed = copies(), set[int]()

    def kill(event: Event) -> None:
        if isinstance(event, TrainingBegins) and not killed:
            killed.update(copies() - before)
            for worker in killed:
                os.kill(worker, signal.SIGKILL)

    summary = boards.run(hazardous("erm"), store=tmp_path, device="cpu", workers=1, trackers=[kill])
    assert len(killed) == 1
    assert (summary.trainings, summary.runs, summary.failed, summary.untold) == (2, 2, {}, {})
    assert "SIGKILL" in caplog.text


def test_of_two_rivals_both_count_right(tmp_path: Path) -> None:
    board = hazardous("erm", "ema", targets=("handwritten", "print", "dot-matrix"))
    with Pool(1, called.nothing, "cpu") as pool:
        other = pool.submit(does_a_board, board, tmp_path)
        while not (begun := list(tmp_path.glob("trainings/*/spec.json"))) and not other.done():
            time.sleep(0.01)
        assert begun, other.result()
        did = [does_a_board(board, tmp_path), other.result()]
    assert sum(one.trainings for one in did) == 3, "each piece is done by one of them"
    assert sum(one.runs for one in did) == 6
    for one in did:
        if "to do" in one.said[0]:
            trainings, runs = [part.split()[0] for part in one.said[0].removeprefix("to do: ").split(", ")[-2:]]
            assert f"trainings {trainings}/{trainings}, runs {runs}/{runs}" in one.said[-1]
