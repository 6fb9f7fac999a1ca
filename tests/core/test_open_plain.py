"""What comes from others may be a pipe, to which nobody writes: it is refused, and not waited for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dgbench.core.errors import DGBenchError
from dgbench.core.files import open_plain
from dgbench.data.disk.look.encoded import is_parquet
from dgbench.data.disk.readers.sheet import form_of
from dgbench.data.pixels.npy import header
from dgbench.data.sets.mnist import read_idx
from dgbench.models.backbones.own.tensors import read_tensors


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """Whoever waits for it is woken."""

    def wake(*_: object) -> None:
        raise TimeoutError("it was waited for")

    os.mkfifo(tmp_path / "pipe")
    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(20)
    yield tmp_path / "pipe"
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_a_pipe_is_no_plain_file(pipe: Path) -> None:
    with pytest.raises(OSError, match="it is no plain file"):
        open_plain(pipe)
    assert not is_parquet(pipe)


@pytest.mark.parametrize("read", [form_of, header, read_idx, read_tensors])
def test_readers_refuse_it_in_one_line(read: Callable[[Path], object], pipe: Path) -> None:
    with pytest.raises(DGBenchError, match=r"pipe .*no plain file") as caught:
        read(pipe)
    assert "\n" not in str(caught.value)


def test_a_link_leads_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    with open_plain(tmp_path / "link") as file:
        assert file.read() == b"abc"
