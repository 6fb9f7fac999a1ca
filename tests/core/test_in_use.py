"""Who reads a file holds it; nobody has to remember to let it go."""

import os
import resource
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from dgbench.core.in_use import give_back, mapped, unused, use


def free(path: Path) -> bool:
    with unused([path]) as is_free:
        return is_free


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.arange(60, dtype=np.int32).reshape(5, 4, 3))
    return tmp_path / "x.npy"


def test_an_open_file_is_in_use_until_it_is_closed(path: Path) -> None:
    assert free(path)
    with use(path) as one, use(path):
        assert one.read(6) == b"\x93NUMPY"
        assert not free(path)
    assert free(path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_mapped_array_is_that_of_the_file(path: Path, order: str) -> None:
    array = np.random.default_rng(0).random((7, 5)).copy(order=order)
    np.save(path, array)
    assert np.array_equal(mapped(path), np.load(path))
    assert not mapped(path).flags.writeable


def test_a_mapped_file_is_in_use_while_any_part_of_it_lives(path: Path) -> None:
    whole = mapped(path)
    part = np.asarray(whole[1:3])[0]
    del whole
    assert not free(path)
    assert part.tolist() == [[12, 13, 14], [15, 16, 17], [18, 19, 20], [21, 22, 23]]
    del part
    assert free(path)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the kernel does not say what is mapped")
def test_pages_that_were_given_back_are_read_again(tmp_path: Path) -> None:
    path, content = tmp_path / "large.npy", np.random.default_rng(0).integers(0, 256, (8, 1 << 20), np.uint8)
    np.save(path, content)
    array = mapped(path)

    def kilobytes() -> int:
        lines = iter(Path("/proc/self/smaps").read_text().splitlines())
        assert any(line.endswith(str(path)) for line in lines)
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))

    for rows in ([1, 5], [0, 1, 2, 3, 4, 5, 6, 7]):
        assert np.array_equal(array[rows], content[rows])
        assert kilobytes() >= 1024 * len(rows)
        give_back(array)
        assert kilobytes() < 256
    assert not free(path)
    give_back(content)  # which is no file's
    assert content[0].any()


def test_what_cannot_be_mapped_is_let_go(path: Path) -> None:
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        mapped(path)
    assert free(path)
    path.write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises((ValueError, EOFError)):
        mapped(path)
    assert free(path)


def test_a_file_that_is_not_there_is_an_error(path: Path) -> None:
    path.unlink()
    with pytest.raises(FileNotFoundError):
        use(path)
    assert not free(path), "what is not there cannot be had"


def test_who_comes_while_a_file_is_taken_away_does_not_get_it(path: Path) -> None:
    got: list[object] = []

    def read() -> None:
        try:
            got.append(mapped(path))
        except FileNotFoundError as error:
            got.append(error)

    with unused([path]) as is_free:
        assert is_free
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(0.2)
        assert got == [], "it waits"
        path.unlink()
        np.save(path, np.ones(3))
    reader.join(10)
    assert np.array_equal(got[0], np.ones(3)), "it finds what has the name now"


def test_the_use_of_a_killed_process_ends(path: Path) -> None:
    program = f"from pathlib import Path; from dgbench.core.in_use import mapped; a = mapped(Path({str(path)!r}))"
    command = [sys.executable, "-c", f"{program}; print(a.sum(), flush=True); input()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == f"{sum(range(60))}\n"
    assert not free(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert free(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="an administrator may write everything")
def test_a_file_that_this_user_may_not_write_is_not_theirs_to_take_away(path: Path) -> None:
    path.chmod(0o444)
    with use(path):
        pass
    assert not free(path)


def test_files_in_use_may_be_more_than_a_process_may_have_at_first(tmp_path: Path) -> None:
    """A thousand domains are a thousand files, and the usual bound is 1,024 of all kinds."""
    (tmp_path / "file").write_bytes(b"1")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (tmp_path / "file").open("rb") as first:
        opened = first.fileno()
    few = 2 * opened + 60
    if limits[1] != resource.RLIM_INFINITY and limits[1] < few + 200:
        pytest.skip("the system allows no more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, limits[1]))
    try:
        with ExitStack() as stack:
            for _ in range(few + 100 - opened):
                stack.enter_context(use(tmp_path / "file"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
