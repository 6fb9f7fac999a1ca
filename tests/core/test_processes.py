import operator
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import called
import pytest
from nursery import fresh_workers

from dgbench.core.processes import Pool, WorkerDiedError

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def _as_users_have_them() -> Iterator[None]:
    with fresh_workers():
        yield


def pool(workers: int = 1) -> Pool:
    return Pool(workers, os.getpid)


def appears(path: Path, there: bool = True) -> bool:
    """Whether a file appears (or goes) within some seconds."""
    deadline = time.monotonic() + 20
    while path.exists() != there and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.exists() == there


def test_answers_and_errors_come_back() -> None:
    with pool(2) as workers:
        assert [f.result() for f in [workers.submit(operator.add, n, 1) for n in range(20)]] == list(range(1, 21))
        with pytest.raises(ZeroDivisionError) as caught:
            workers.submit(operator.truediv, 1, 0).result()
        assert "Traceback" in caught.value.__notes__[0]
        with pytest.raises(Exception, match="there is no part named 'x'"):  # pickles, but cannot be read again
            workers.submit(called.unknown_part, "x").result()


def test_a_worker_that_dies_takes_its_own_call_alone() -> None:
    with pool(2) as workers:
        slow = workers.submit(time.sleep, 1.0)
        for function, argument, says in [
            (os._exit, 3, "exit code 3"),
            (signal.raise_signal, signal.SIGKILL, "SIGKILL .as happens where memory runs out"),
            (signal.raise_signal, signal.SIGTERM, "SIGTERM"),
        ]:
            with pytest.raises(WorkerDiedError, match=says):
                workers.submit(function, argument).result()
        assert workers.submit(operator.add, 1, 1).result() == 2
        assert slow.result() is None


def test_errors_that_speak_of_pipes_and_processes_are_answers_like_others() -> None:
    with pool() as workers:
        mine = workers.submit(os.getpid).result()
        with pytest.raises(EOFError):
            workers.submit(pickle.loads, b"").result(60)
        with pytest.raises(BrokenPipeError):
            workers.submit(called.closed_pipe).result(60)
        with pytest.raises(WorkerDiedError, match="beside this one"):
            workers.submit(called.loses_another).result(60)
        assert workers.submit(os.getpid).result() == mine
        dies = workers.submit(os.kill, mine, signal.SIGKILL)
        with pytest.raises(WorkerDiedError, match="SIGKILL"):
            dies.result(60)
    with pytest.raises(ProcessLookupError):
        os.kill(mine, 0)


def test_a_worker_that_cannot_be_readied_does_not_stay(tmp_path: Path) -> None:
    with Pool(1, called.notes_itself_and_fails, tmp_path) as workers:
        for _ in range(2):
            with pytest.raises(ImportError):
                workers.submit(os.getpid).result(60)
        numbers = [int(path.name) for path in tmp_path.iterdir()]
        assert len(numbers) == 2
        for number in numbers:
            with pytest.raises(ProcessLookupError):
                os.kill(number, 0)


def test_what_would_end_a_process_ends_a_call() -> None:
    with pool() as workers:
        before = workers.submit(os.getpid).result()
        with pytest.raises(Exception, match="SystemExit: 3"):
            workers.submit(sys.exit, 3).result()
        assert workers.submit(os.getpid).result() == before


def test_notes_come_before_the_answer_and_what_is_printed_is_neither(capfd: pytest.CaptureFixture[str]) -> None:
    notes: list[int] = []
    with pool() as workers:
        assert workers.submit(called.count, 3, tell=notes.append).result() == 3
    assert notes == [0, 1, 2]
    assert capfd.readouterr() == ("", "noise\n" * 3)


def test_leaving_by_an_error_stops_workers_and_lets_them_clear_away(tmp_path: Path) -> None:
    def interrupted() -> None:
        with pool(2) as workers:
            held.extend(workers.submit(called.hold, tmp_path / name) for name in ("a", "b", "never begun"))
            assert appears(tmp_path / "a")
            assert appears(tmp_path / "b")
            raise KeyboardInterrupt

    held: list[Future[None]] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    assert held[2].cancelled() or held[2].exception() is not None


PROGRAM = f"""\
import os, sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
import called
from dgbench.core.processes import Pool
with Pool(2, os.getpid) as workers:
    print(sorted(future.result() for future in [workers.submit(called.count, n, tell=print) for n in (1, 2)]))
    if len(sys.argv) > 1:
        workers.submit(called.hold, Path(sys.argv[1])).result()
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    parent = subprocess.Popen([sys.executable, "program.py", "held"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    assert appears(tmp_path / "held")
    parent.kill()
    parent.wait()
    assert appears(tmp_path / "held", there=False), "the worker is gone, and cleared away what it had"


def as_a_file(folder: Path) -> str:
    (folder / "program.py").write_text(PROGRAM)
    return subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=60).stdout


def from_standard_input(folder: Path) -> str:
    process = subprocess.run([sys.executable, "-"], input=PROGRAM, cwd=folder, capture_output=True, text=True)
    return process.stdout


def as_a_command(folder: Path) -> str:
    process = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True)
    return process.stdout


def in_a_console(folder: Path) -> str:
    """As in a notebook: line by line, ``__main__`` is no file."""
    program = f"import code; print(code.InteractiveConsole().runsource({PROGRAM!r}, symbol='exec'))"
    process = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    return process.stdout


@pytest.mark.parametrize("way", [as_a_file, from_standard_input, as_a_command, in_a_console])
def test_a_program_needs_no_guard(way: Callable[[Path], str], tmp_path: Path) -> None:
    assert "[1, 2]" in way(tmp_path).splitlines()
