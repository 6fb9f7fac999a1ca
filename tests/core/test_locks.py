"""Locks and temporaries of processes that live are left alone; those of processes that were killed are cleared away."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from dgbench.core import locks
from dgbench.core.files import whole, workshops
from dgbench.core.locks import alone, clear
from dgbench.core.spec import identity
from dgbench.runs.store import BusyError, Store

SPAWN = multiprocessing.get_context("spawn")
SPEC = {"schema": "dgbench.run/1"}


def write_and_wait(root: Path, ready: Event) -> None:
    """Claim a piece of work, begin a file of it, and a file elsewhere; then be at it for ever."""
    with Store(root).claim("run", SPEC) as folder:
        assert folder is not None
        with whole(folder / "predictions.parquet") as inside, whole(root / "boards" / "small" / "x.json") as outside:
            inside.write_text("half")
            outside.write_text("half")
            outside.with_name("what-a-library-makes-beside-it").write_text("x")
            ready.set()
            threading.Event().wait()


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """A process in the middle of a piece of work; what is returned kills it."""
    ready = SPAWN.Event()
    process = SPAWN.Process(target=write_and_wait, args=(tmp_path, ready))
    process.start()
    assert ready.wait(120)

    def kill() -> None:
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL

    yield kill
    kill()


def files(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


def test_what_a_killed_process_left_is_cleared_away_and_what_a_living_one_holds_is_not(
    tmp_path: Path, at_work: Callable[[], None]
) -> None:
    store = Store(tmp_path)
    before = files(tmp_path)
    assert len(before) == 5, "the lock, the spec, two halves, and what a library made"
    assert store.clear_all() == 0
    with pytest.raises(BusyError), store.claim("run", SPEC):
        pass
    assert files(tmp_path) == before
    at_work()
    assert store.clear() == 2, "the lock says where it was at work; a list of a board's runs is no such piece"
    assert files(tmp_path) == before - {"run-" + identity(SPEC) + ".lock", "predictions.parquet"}
    assert store.clear_all() == 1
    assert files(tmp_path) == {"spec.json"}
    with store.claim("run", SPEC) as folder:
        assert folder is not None
    assert not list((tmp_path / "locks").iterdir())


def test_a_file_that_was_half_written_is_cleared_away_by_who_writes_it_again(
    tmp_path: Path, at_work: Callable[[], None]
) -> None:
    path = tmp_path / "boards" / "small" / "x.json"
    with whole(path) as temporary:
        temporary.write_text("another's")
    assert path.read_text() == "another's"
    assert len(workshops(path.parent)) == 1, "of the process that is still at it"
    at_work()
    with whole(path) as temporary:
        temporary.write_text("mine")
    assert [child.name for child in path.parent.iterdir()] == ["x.json"]


def test_a_file_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    """safetensors keeps what it writes for its owner."""
    import torch

    from dgbench.train.trajectory import save

    (tmp_path / "plain").touch()
    save(tmp_path / "weights.safetensors", {"w": torch.ones(1)})
    assert (tmp_path / "weights.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_lock_has_one_holder_though_its_file_comes_and_goes(tmp_path: Path) -> None:
    """Threads hold, and clear away, the same lock as fast as they can; two within it at once would be seen."""
    path, inside, seen, held = tmp_path / "x.lock", threading.Lock(), [], []

    def work() -> None:
        times = 0
        while times < 60:
            with alone(path) as mine:
                if mine:
                    times += 1
                    seen.append(inside.acquire(blocking=False))
                    held.append(path.exists())
                    inside.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 * 60
    assert all(seen)
    assert all(held)
    assert not path.exists()


def test_a_file_that_many_write_at_once_is_one_of_theirs(tmp_path: Path) -> None:
    """Each clears away what it takes for left behind, which is never what another one is at."""
    path = tmp_path / "x"

    def work(text: str) -> None:
        for _ in range(50):
            with whole(path) as temporary:
                temporary.write_text(text)

    threads = [threading.Thread(target=work, args=(str(number) * 1000,)) for number in range(8)]
    failed: list[object] = []
    threading.excepthook, before = lambda args: failed.append(args.exc_value), threading.excepthook
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.excepthook = before
    assert failed == []
    assert len(path.read_text()) == 1000
    assert len(set(path.read_text())) == 1
    assert [child.name for child in tmp_path.iterdir()] == ["x"]


def test_who_clears_late_leaves_what_was_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clear one folder: when the second gets its lock, the folder may be another, in which somebody works."""
    folder = tmp_path / ".x.0123456789abcdef"
    folder.mkdir()

    def late(handle: int) -> bool:
        folder.rmdir()
        folder.mkdir()
        return locked(handle)

    locked = locks._locked
    monkeypatch.setattr(locks, "_locked", late)
    assert not clear(folder)
    assert folder.is_dir()


def test_what_is_no_workshop_stays(tmp_path: Path) -> None:
    (tmp_path / ".mine").write_text("x")
    (tmp_path / ".x.0123456789abcdef").write_text("a file of a user's")
    assert not any(clear(path) for path in workshops(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2
    assert not clear(tmp_path / "absent")


def test_a_signal_while_a_failure_is_cleared_away_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends two workers at once: one is stopped while it clears away what it could not write."""
    real, signals = locks.shutil.rmtree, [KeyboardInterrupt]

    def rmtree(folder: Path, *, ignore_errors: bool) -> None:
        if signals:
            raise signals.pop()
        real(folder, ignore_errors=ignore_errors)

    monkeypatch.setattr(locks.shutil, "rmtree", rmtree)
    with pytest.raises(KeyboardInterrupt), whole(tmp_path / "x.json"):
        raise ValueError
    assert [*tmp_path.iterdir()] == []
