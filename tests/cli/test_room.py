"""What a plan says of the room that a board takes."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from dgbench.cli.room import show_room
from dgbench.runs.sizes import Sizes
from dgbench.runs.store import Store


def test_what_there_is_and_what_it_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "3GB")
    monkeypatch.setenv("DGBENCH_FEATURES_LIMIT", "none")
    stream = io.StringIO()
    room = Sizes(10**6, 2 * 10**6, 3 * 10**6, 0, features=4 * 10**6, views=0, decoded=5 * 10**9, unknown=())
    show_room(Console(file=stream, width=120), room, "chosen", Store(tmp_path))
    rows = [" ".join(line.split()) for line in stream.getvalue().splitlines()]
    assert "features 4.0 MB of frozen backbones" in rows
    assert "decoded images 5.0 GB in the cache, which may take 3.0 GB" in rows
    assert not any("shifted" in row for row in rows)
