"""Leases: one holder at a time, whoever comes, whatever the clocks say."""

import json
import threading
import time
from pathlib import Path

import pytest
from pretend_remote import Pretended

from dgbench.core.leases import Leases
from dgbench.core.remote import Folder


class Clock:
    """A machine's own, which a test moves."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_one_holder_at_a_time_however_many_come(tmp_path: Path) -> None:
    for remote in (Pretended(latency=0.002), Folder(f"file://{tmp_path}")):
        holders, most, turns = 0, 0, 0
        count, until = threading.Lock(), time.monotonic() + 0.7

        def contend(remote: Pretended | Folder = remote, until: float = until, count: threading.Lock = count) -> None:
            nonlocal holders, most, turns
            while time.monotonic() < until:
                with Leases(remote, length=60.0).held("run-1") as lease:  # as if by a process that never saw another
                    if lease is not None:
                        with count:
                            holders += 1
                            most, turns = max(most, holders), turns + 1
                        time.sleep(0.002)
                        with count:
                            holders -= 1

        threads = [threading.Thread(target=contend) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1
        assert turns > 1
        assert remote.below("leases/") == []


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -3600.0])
def test_a_lease_is_over_when_its_holder_was_silent_for_its_length_by_the_clock_of_who_watches(ahead: float) -> None:
    remote, mine, theirs = Pretended(), Clock(50_000.0), Clock(50_000.0 + ahead)
    holder, watcher = Leases(remote, 90.0, mine), Leases(remote, 90.0, theirs)
    with holder.held("run-1") as lease:
        assert lease is not None
        for _ in range(10):  # it is renewed, so it lasts
            with watcher.held("run-1") as other:
                assert other is None
            mine.now += 60.0
            theirs.now += 60.0
            assert lease.renew()
        with watcher.held("run-1") as other:
            assert other is None
        theirs.now += 89.0
        with watcher.held("run-1") as other:
            assert other is None
        theirs.now += 2.0
        with watcher.held("run-1") as other:
            assert other is not None
            assert other.term > lease.term
            assert not lease.renew()
            assert lease.lost
            assert other.renew()
    assert remote.below("leases/") == []


def test_who_has_just_come_knows_nothing_of_how_long_a_lease_was_silent() -> None:
    remote, clock = Pretended(), Clock(0.0)
    with Leases(remote, 90.0, clock).held("run-1"):
        clock.now += 1000.0
        with Leases(remote, 90.0, clock).held("run-1") as other:
            assert other is None


def test_who_was_late_withdraws() -> None:
    """A machine that saw nobody, and slept before it created its object, meets a holder of another term."""
    remote = Pretended()
    slow = Leases(remote)
    over = slow._over("run-1")
    assert over == {}
    with Leases(remote).held("run-1"):
        content = json.dumps({"holder": "a later one", "seconds": 60}).encode()
        remote.objects["leases/run-1/7"] = remote.objects.pop("leases/run-1/1")
        remote.objects["leases/run-1/7"] = content
        with slow.held("run-1") as late:
            assert late is None
        slow._over = lambda name: {}  # type: ignore[method-assign]
        slow._looked.clear()
        with slow.held("run-1") as late:
            assert late is None
        assert remote.below("leases/") == ["leases/run-1/7"]


def test_a_lease_that_was_lost_does_not_come_back_when_terms_begin_anew() -> None:
    remote, clock = Pretended(), Clock(0.0)
    first = Leases(remote, 90.0, Clock(0.0))._taken("run-1")
    others = Leases(remote, 90.0, clock)
    assert others._taken("run-1") is None
    clock.now += 91.0
    second = others._taken("run-1")
    assert first is not None
    assert second is not None
    second.release()
    third = Leases(remote, 90.0, clock)._taken("run-1")
    assert third is not None
    assert third.key == first.key
    before = remote.read(third.key)
    assert not first.renew()
    assert first.lost
    assert remote.read(third.key) == before
    first.release()
    assert third.renew()
    third.release()
    assert remote.below("leases/") == []


def test_who_never_learnt_that_it_lost_a_lease_removes_no_other() -> None:
    remote = Pretended()
    first = Leases(remote)._taken("run-1")
    assert first is not None
    remote.delete(first.key)
    third = Leases(remote)._taken("run-1")
    assert third is not None
    first.release()
    assert third.renew()


def test_a_server_that_is_away_for_longer_than_a_lease_has_lost_it() -> None:
    remote, clock = Pretended(), Clock(0.0)
    with Leases(remote, 90.0, clock).held("run-1") as lease:
        assert lease is not None
        remote.fails = 0
        clock.now += 60.0
        assert lease.renew()
        clock.now += 60.0
        assert not lease.renew()
        remote.fails = None


def test_what_no_lease_says_is_waited_for_no_longer_than_an_hour() -> None:
    remote, clock = Pretended(), Clock(0.0)
    remote.objects["leases/run-1/1"] = json.dumps({"seconds": 1e12}).encode()
    leases = Leases(remote, 90.0, clock)
    with leases.held("run-1") as lease:
        assert lease is None
    clock.now += 3601.0
    with leases.held("run-1") as lease:
        assert lease is not None
