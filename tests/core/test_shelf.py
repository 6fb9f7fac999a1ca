"""A bound that holds, against a simulation of what is least recently used; kills, clocks and other processes."""

import errno
import itertools
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgbench.core import shelf as module
from dgbench.core.disk import DiskError
from dgbench.core.errors import DGBenchError
from dgbench.core.files import whole_folder, workshops
from dgbench.core.in_use import use
from dgbench.core.locks import alone
from dgbench.core.shelf import Piece, Shelf, piece, remove

LIMIT = "DGBENCH_TEST_LIMIT"


def find(root: Path) -> Iterator[Piece | None]:
    for path in (root / "files").glob("[!.]*.bin"):
        yield piece(path, path, path.with_suffix(".lock"))
    for path in (root / "folders").glob("[!.]*"):
        yield piece(path, path / "seal", path.parent / f".{path.name}.lock")


def shelf(root: Path) -> Shelf:
    return Shelf(root, ("files", "folders"), "the shelf", LIMIT, lambda: find(root))


def put(root: Path, name: str, size: int) -> Path:
    path = root / "files" / f"{name}.bin"
    with shelf(root).file(path, size) as temporary:
        temporary.write_bytes(b"x" * size)
    shelf(root).used(path)
    return path


def there(root: Path) -> set[str]:
    return {one.path.stem for one in shelf(root).pieces()}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(LIMIT, "1000")
    return tmp_path


class Simulated:
    """What a shelf holds, by the book."""

    def __init__(self, bound: int) -> None:
        self.bound, self.held = bound, OrderedDict[str, int]()

    def write(self, name: str, size: int, kept: frozenset[str]) -> None:
        # The old content lies there until the new one is whole.
        for other in list(self.held):
            if sum(self.held.values()) + size <= self.bound:
                break
            if other not in kept:
                del self.held[other]
        self.held[name] = size
        self.held.move_to_end(name)

    def read(self, name: str) -> None:
        if name in self.held:
            self.held.move_to_end(name)


ACTIONS = st.tuples(
    st.sampled_from(["write", "read", "open", "close", "clock"]), st.sampled_from("abcdefgh"), st.integers(1, 600)
)


@settings(max_examples=60, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=40))
def test_the_bound_holds_and_what_goes_is_what_was_not_used_for_longest(
    actions: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, model, open_ = tmp_path_factory.mktemp("shelf"), Simulated(1000), dict[str, object]()
    real, shift = time.time_ns, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LIMIT, "1000")
        patch.setattr(module.time, "time_ns", lambda: real() + shift)
        for action, name, number in actions:
            path = root / "files" / f"{name}.bin"
            if action == "clock":
                shift = (number - 300) * 10**15  # days and weeks, there and back
            elif action == "write" and name not in open_:
                put(root, name, number)
                model.write(name, number, frozenset(open_))
            elif action in ("read", "open") and path.exists():
                shelf(root).used(path)
                model.read(name)
                if action == "open" and name not in open_:
                    open_[name] = use(path)
            elif action == "close" and name in open_:
                open_.pop(name).close()
            assert there(root) == set(model.held)
            over = sum(model.held.values()) > 1000
            assert shelf(root).taken() == sum(model.held.values())
            assert not over or open_, "nothing but what is in use goes over the bound"
    for file in open_.values():
        file.close()


@pytest.mark.parametrize("moment", range(16))
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_gets_its_name_while_room_is_made_counts(
    kind: str, moment: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer needs no room for that, so it does not wait for whoever counts: it may be done between any two looks
    at a folder."""
    put(root, "before", 100)
    making, looks, walk = ExitStack(), itertools.count(), os.walk
    if kind == "file":
        temporary = making.enter_context(shelf(root).file(root / "files" / "a.bin", 300))
    else:
        with shelf(root).room(300):
            temporary = making.enter_context(whole_folder(root / "folders" / "a")) / "inside"
    temporary.write_bytes(b"x" * 300)

    def walked(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for found in walk(folder):
            if next(looks) == moment:
                making.close()
            yield found
        if next(looks) == moment:
            making.close()

    monkeypatch.setattr(os, "walk", walked)
    with making, shelf(root).room(601):
        assert there(root) <= {"a"}, "of 1000 bytes 300 are taken, and 601 asked for"


def test_a_piece_larger_than_the_bound_is_refused_with_size_and_remedy(root: Path) -> None:
    kept = put(root, "a", 900)
    with pytest.raises(DiskError, match=rf"1\.2 kB are needed at once in {root}.*\(1\.0 kB\); set {LIMIT}=2kB or more"):
        put(root, "b", 1200)
    assert kept.exists()
    assert list((root / "files").glob(".*")) == []


@pytest.mark.parametrize("said", ["lots", "20 apples", "-1", ""])
def test_a_bound_that_is_none_is_one_clear_error(root: Path, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, said)
    with pytest.raises(DGBenchError, match=f"{LIMIT}: .*like 20GB"):
        put(root, "a", 1)


def test_the_bound_in_words(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for said, bound in {"20GB": 20 * 10**9, "none": None, " None ": None, "500 MiB": 500 * 2**20, "0": 0}.items():
        monkeypatch.setenv(LIMIT, said)
        assert shelf(root).bound() == bound


@pytest.mark.parametrize(("free", "bound"), [(700, 250), (0, 75), (10**12, 20 * 10**9)])
def test_by_default_it_is_a_quarter_of_the_disk_without_it_and_twenty_gigabytes_at_most(
    root: Path, free: int, bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "a", 300)
    monkeypatch.delenv(LIMIT)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert shelf(root).bound() == bound


def test_where_the_disk_is_smaller_than_the_bound_the_disk_is_the_bound(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        put(root, name, 200)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=150))
    put(root, "d", 100)
    assert there(root) == {"a", "b", "c", "d"}
    put(root, "e", 300)
    assert there(root) == {"b", "c", "d", "e"}, (
        "what is free on the disk does not suffice, and one piece makes up for it"
    )


def test_folders_go_whole(root: Path) -> None:
    for name in "ab":
        (root / "folders" / name).mkdir(parents=True)
        for file, size in (("one", 200), ("two", 150), ("seal", 50)):
            (root / "folders" / name / file).write_bytes(b"x" * size)
        shelf(root).used(root / "folders" / name / "seal")
    with use(root / "folders" / "a" / "two"):
        put(root, "c", 500)
        assert there(root) == {"a", "c"}, "one file of a folder that is read keeps all of it"
    put(root, "d", 500)
    assert there(root) == {"c", "d"}
    assert [path.name for path in (root / "folders").iterdir()] == []


def test_what_is_being_made_stays(root: Path) -> None:
    path = put(root, "a", 600)
    with alone(path.with_suffix(".lock")):
        put(root, "b", 600)
        assert there(root) == {"a", "b"}
    put(root, "c", 100)
    assert there(root) == {"b", "c"}


def test_more_than_the_bound_in_use_is_said_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), use(put(root, "a", 600)), use(put(root, "b", 600)):
        put(root, "c", 600)
    (record,) = caplog.records
    assert record.message.startswith(f"the shelf in {root} grows to 1.2 kB, over its bound of 1.0 kB ({LIMIT})")


def test_marks_from_a_machine_whose_clock_was_ahead_do_not_count_for_ever(root: Path) -> None:
    future = time.time_ns() + 10**18
    old = put(root, "old", 300)
    os.utime(old, ns=(future, future))
    for name in ("a", "b", "c"):
        put(root, name, 300)
    shelf(root).used(root / "files" / "a.bin")
    put(root, "d", 300)
    assert there(root) == {"a", "c", "d"}


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_where_nothing_can_be_noted_reading_goes_on(root: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(root, "a", 10)
    before = path.stat().st_mtime_ns

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.os, "utime", refuse)
    shelf(root).used(path)
    assert path.stat().st_mtime_ns == before


def test_a_half_written_file_counts_and_a_killed_writer_s_does_not(root: Path) -> None:
    program = f"""
import os, sys, signal; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import test_shelf
with test_shelf.shelf(Path({str(root)!r})).file(Path({str(root)!r}, "files", "half.bin"), 800):
    print("begun", flush=True)
    input()
"""
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    put(root, "a", 200)
    put(root, "b", 200)
    assert there(root) == {"b"}
    process.send_signal(signal.SIGKILL)
    process.wait()
    put(root, "c", 700)
    assert there(root) == {"b", "c"}
    assert list((root / "files").glob(".*")) == []


def make_and_remove(root: Path, rounds: int) -> None:
    """A writer of folders that has to make room each time."""
    for number in range(rounds):
        name = f"{os.getpid()}-{number}"
        with shelf(root).room(300):
            folder = root / f".{name}"
            folder.mkdir()
            for file in ("a", "b", "c"):
                (folder / file).write_bytes(b"x" * 100)
            (folder / "seal").touch()
            folder.rename(root / "folders" / name)


FORKS = multiprocessing.get_context("forkserver")  # each is a copy of one that has imported this file
FORKS.set_forkserver_preload([__name__])


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03, 0.05, 0.1])
def test_a_kill_while_pieces_are_taken_away_leaves_them_whole_or_absent(root: Path, seconds: float) -> None:
    (root / "folders").mkdir()
    process = FORKS.Process(target=make_and_remove, args=(root, 10**6))
    process.start()
    deadline = time.monotonic() + 60
    while len(there(root)) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.join()
    for one in shelf(root).pieces():
        assert sorted(path.name for path in one.path.iterdir()) == ["a", "b", "c", "seal"]
    make_and_remove(root, 2)
    assert [path for path in (root / "folders").iterdir() if path.name.startswith(".")] == []
    assert shelf(root).taken() <= 1000


def test_two_processes_make_room_at_once(root: Path) -> None:
    (root / "folders").mkdir()
    processes = [FORKS.Process(target=make_and_remove, args=(root, 60)) for _ in range(2)]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        assert shelf(root).taken() <= 1000
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(there(root)) == 3


def write_files(root: Path, count: int) -> None:
    for number in range(count):
        put(root, f"{os.getpid()}-{number}", 300)


def test_writers_do_not_trip_over_each_other_s_half_written_files(root: Path) -> None:
    processes = [FORKS.Process(target=write_files, args=(root, 40)) for _ in range(2)]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        shelf(root).clear()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(there(root)) == 3


def test_where_files_are_written_may_go_while_it_is_looked_at(root: Path) -> None:
    assert workshops(root / "gone") == []


def test_what_is_asked_for_is_taken_away_and_what_is_in_use_is_not(root: Path) -> None:
    put(root, "a", 10)
    with use(put(root, "b", 10)):
        assert {one.path.stem: remove(one) for one in shelf(root).pieces()} == {"a": True, "b": False}
    assert there(root) == {"b"}
