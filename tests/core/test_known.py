"""Records that the cache keeps: found once, checked when they are read, and found anew where they are none."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dgbench.core.known import known, what_is_known, write_down
from dgbench.core.paths import cache_root
from dgbench.core.units import Count


@dataclass(frozen=True)
class Size:
    side: Count
    tags: frozenset[str] = frozenset()
    source: tuple[str, tuple[str, ...]] | None = None


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))


class Finder:
    """Finds sizes, each larger than the one before; knows what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, *names: str, kind: str = "sizes/1") -> dict[str, Size]:
        return known(kind, Size, {name: self._finding(name) for name in names})

    def _finding(self, name: str) -> Callable[[], Size]:
        def find() -> Size:
            self.asked.append(name)
            return Size(len(self.asked), frozenset({"b", "a"}), ("here", ("x", "y")))

        return find


def test_each_is_found_once_and_comes_back_as_it_was() -> None:
    find = Finder()
    first = find("a", "b")
    assert find.asked == ["a", "b"]
    assert find("b", "a", "c") == first | {"c": find("c")["c"]}
    assert find.asked == ["a", "b", "c"]
    assert first["a"].source == ("here", ("x", "y"))


def test_another_number_finds_all_anew(caplog: pytest.LogCaptureFixture) -> None:
    find = Finder()
    find("a")
    find("a", kind="sizes/2")
    assert find.asked == ["a", "a"]
    assert "sizes.json cannot be read (it is of another version)" in caplog.text
    find("a", kind="sizes/2")
    assert find.asked == ["a", "a"]


@pytest.mark.parametrize("side", [0, -1, 1.5, "large", None])
def test_of_a_record_that_is_none_only_itself_is_found_anew(side: object, caplog: pytest.LogCaptureFixture) -> None:
    find = Finder()
    find("a", "b")
    path = cache_root() / "sizes.json"
    content = json.loads(path.read_text())
    for one in content["sizes"]:
        if one["of"] == "a":
            one["side"] = side
    path.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        assert find("a", "b")["a"].side == 3
    assert find.asked == ["a", "b", "a"]
    assert "sizes.json" in caplog.text
    assert "of 'a'" in caplog.text


def test_a_file_is_bounded_but_holds_what_was_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dgbench.core.known.MOST", 2)
    find = Finder()
    find("a", "b", "c", "d")
    find("a", "b", "c", "d")
    assert find.asked == ["a", "b", "c", "d"]
    find("e")  # what was found first goes
    find("d", "e")
    assert find.asked == ["a", "b", "c", "d", "e"]
    find("c")
    assert find.asked[-1] == "c"


def test_a_record_that_turned_out_otherwise_takes_the_place_of_the_first() -> None:
    Finder()("a", "b")
    write_down("sizes/1", Size, "a", Size(7))
    assert what_is_known("sizes/1", Size, "a") == Size(7)
    assert Finder()("b")["b"].side == 2
    assert Finder()("a")["a"].side == 7


def test_where_nothing_can_be_written_all_is_found_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "file"))
    find = Finder()
    assert [find("a")["a"].side, find("a")["a"].side] == [1, 2]
