"""Units go on a few at a time where not all that they look at fits, and every one comes to an end."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgbench.core.disk import DiskError
from dgbench.core.in_use import unused
from dgbench.core.shelf import Shelf
from dgbench.runs import room as module
from dgbench.runs.jobs import Drawing, Unit
from dgbench.runs.room import Budget, Room, Sight

LIMIT = "DGBENCH_TEST_LIMIT"


def unit(name: str, *groundwork: str, starts: tuple[str, ...] = ()) -> Unit:
    training: Any = SimpleNamespace(id=name, starts_from=lambda: starts, follows=lambda: starts)
    return Unit(training, (), groundwork=groundwork)


def drawing(name: str) -> Drawing:
    return Drawing("d", 8, "x", ("blur",), np.arange(3), 3, name)


def room(root: Path, units: list[Unit], sights: dict[str, list[Sight]], fixed: int = 0) -> Room:
    return Room(units, sights, {"cache": Budget(Shelf(root, (), "the cache", LIMIT, list), fixed)})


PIECES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 60), min_size=1)


@settings(max_examples=200, deadline=None)
@given(
    pieces=PIECES,
    looks=st.lists(st.tuples(st.sets(st.sampled_from("abcdefgh")), st.sets(st.integers(0, 7))), min_size=1, max_size=8),
    there=st.sets(st.sampled_from("abcdefgh")),
    bound=st.integers(60, 400),
    choices=st.data(),
)
def test_every_unit_comes_to_an_end_and_no_two_need_more_than_there_is(
    pieces: dict[str, int],
    looks: list[tuple[set[str], set[int]]],
    there: set[str],
    bound: int,
    choices: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("room")
    sight = {name: Sight("cache", root / name, size) for name, size in pieces.items()}
    units, sights, starts = [], {}, {}
    for number, (looked, wanted) in enumerate(looks):
        name, seen = f"u{number}", sorted(looked & pieces.keys())
        starts[name] = tuple(f"u{other}" for other in sorted(wanted) if other < number)
        units.append(unit(name, *(p for p in seen if p not in there), starts=starts[name]))
        sights[name] = [sight[p] for p in seen]
    for name in there & pieces.keys():
        (root / name).touch()
    order = choices.draw(st.permutations(units))  # the order is no promise that what others start from comes first
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LIMIT, str(bound))
        try:
            made = room(root, order, sights)
        except DiskError:
            return
    jobs: list[Any] = [*map(drawing, sorted(set().union(*(one.groundwork for one in units)))), *units]
    done: set[str] = set()
    while jobs:
        ready = [
            job
            for job in jobs
            if made.admits(job) and (not isinstance(job, Unit) or {*job.groundwork, *starts[job.id]} <= done)
        ]
        assert ready, "nothing can go on"
        open_ = [job for job in jobs if isinstance(job, Unit) and made.admits(job)]
        seen = {one for job in open_ for one in sights[job.id]}
        assert sum(one.bytes for one in seen) <= bound
        for one in seen:
            with unused([one.mark]) as free:
                assert not free, "what an open unit looks at stays"
        job = choices.draw(st.sampled_from(ready))
        if isinstance(job, Drawing):
            (root / job.id).touch()
        jobs = [other for other in jobs if other is not job]
        done.add(job.id)
        made.over(job)
    for name in pieces:
        with unused([root / name]) as free:
            assert free == (root / name).exists(), "nothing is held any more"


def test_what_one_unit_needs_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "1kB")
    sights = {"u": [Sight("cache", tmp_path / "a", 600)], "v": [Sight("cache", tmp_path / "b", 300)]}
    room(tmp_path, [unit("u", "a"), unit("v", "b")], sights)
    said = rf"1\.2 kB are needed at once in .*the cache may take there \(1\.0 kB\); set {LIMIT}=2kB or more"
    with pytest.raises(DiskError, match=said):
        room(tmp_path, [unit("u", "a"), unit("v", "b")], sights, fixed=600)
    with pytest.raises(DiskError, match=said):
        room(
            tmp_path,
            [unit("u", "a"), unit("v", "b", starts=("u",))],
            {**sights, "v": [Sight("cache", tmp_path / "c", 600)]},
        )
    with pytest.raises(DiskError, match=said):
        room(tmp_path, [unit("v")], {}, fixed=1200)


def test_what_does_not_fit_at_once_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    units = [unit(name, name) for name in "abc"]
    sights = {name: [Sight("cache", tmp_path / name, 400)] for name in "abc"}
    for said, words in {
        "2kB": None,
        "none": None,
        "1kB": f"may take 1.0 kB ({LIMIT}), and this plan looks at 1.3 kB",
    }.items():
        monkeypatch.setenv(LIMIT, said)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            made = room(tmp_path, units, sights, fixed=100)
        assert (words in caplog.text) if words else not caplog.text
    assert [made.admits(job) for job in (*units, *map(drawing, "abc"))] == [True, True, False] * 2
    made.over(units[0])
    assert made.admits(units[2])


def test_a_job_that_nobody_waits_for_may_always_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "1kB")
    made = room(tmp_path, [unit("u", "a")], {"u": [Sight("cache", tmp_path / "a", 600)]})
    assert made.admits(unit("a training that is done again"))
    assert made.admits(drawing("of a unit that has failed"))


def test_more_pieces_than_there_are_descriptors_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "none")
    monkeypatch.setattr(module, "HELD", 5)
    units = [unit(name) for name in "abc"]
    made = room(
        tmp_path, units, {name: [Sight("cache", tmp_path / f"{name}{n}", 1) for n in range(3)] for name in "abc"}
    )
    assert [made.admits(job) for job in units] == [True, False, False]
