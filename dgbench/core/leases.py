"""Leases: what one of many machines may do alone for a while, with nothing in common but objects that all see.

    leases/<name>/<term>     who holds it, how long it lasts unrenewed, and how often it was renewed

Whoever wants one creates the object of the next term; among those that come at once, one succeeds. The holder renews
it from a thread, and removes it at the end. One whose content has not changed for its length *by the clock of who
watches* is over, and who saw that creates the next term. So no two machines need agree on the time of day.

Whoever has created an object looks once more: if there is one beside it that was not over, it was late, and withdraws.
A holder that was away for longer than its lease sees a later term, or, since terms begin anew once nobody holds it,
another's name in the object of its own, and knows that it has lost it.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from dgbench.core.disk import DiskError
from dgbench.core.errors import StoreError
from dgbench.core.remote import Remote, content_of
from dgbench.core.spec import canonical

LENGTH = 120.0
"""Seconds after which a lease that nobody renews is over."""
LONGEST = 3600.0
"""Whatever an object says, it is waited for no longer."""
_BEATS = 6
"""How often a lease is renewed in its length."""
_LOOKS = 60
"""How often, at most, one that is held is looked at in its length."""

log = logging.getLogger(__name__)


class Lease:
    """One that is held.

    Args:
        leases: Of which it is.
        name: Its name.
        term: Its term.
    """

    def __init__(self, leases: Leases, name: str, term: int) -> None:
        self._leases = leases
        self.name, self.term = name, term
        self._holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(8)}"
        self._beat = 0
        self._renewed = leases.clock()
        self._lock = threading.Lock()
        self.lost = False

    @property
    def key(self) -> str:
        """Of its object."""
        return f"leases/{self.name}/{self.term}"

    def content(self) -> bytes:
        """What its object says now."""
        return canonical({"holder": self._holder, "beat": self._beat, "seconds": self._leases.length}).encode()

    def renew(self) -> bool:
        """Renew it; False where it was lost. It is, too, where the server was away for as long as it lasts."""
        with self._lock:
            if self.lost:
                return False
            try:
                self.lost = max(self._leases.terms(self.name), default=0) > self.term or not self._ours()
                if not self.lost:
                    self._beat += 1
                    self._leases.remote.write(self.key, self.content())
                    self._renewed = self._leases.clock()
            except (OSError, StoreError, DiskError) as error:
                self.lost = self._leases.clock() - self._renewed > self._leases.length
                log.info("lease %s is not renewed: %s", self.name, error)
            if self.lost:
                log.warning("the lease of %s was lost: another machine may do the same", self.name)
            return not self.lost

    def release(self) -> None:
        """Others may have it at once; what is another's by now stays."""
        with self._lock, suppress(OSError, StoreError, DiskError):  # then it is over by itself
            self.lost = True
            if self._ours():
                self._leases.remote.delete(self.key)

    def _ours(self) -> bool:
        """Whether the object is there and names this lease: terms begin anew, so its number does not say so."""
        content = self._leases.content(self.name, self.term)
        return content is not None and _holder(content) == self._holder


class Leases:
    """The leases of one place, as one process sees them.

    Args:
        remote: The place.
        length: Seconds after which one of this process is over, if it is not renewed.
        clock: Seconds that only grow; nobody else's need agree.
    """

    def __init__(self, remote: Remote, length: float = LENGTH, clock: Callable[[], float] = time.monotonic) -> None:
        self.remote = remote
        self.length = length
        self.clock = clock
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._looked: dict[str, float] = {}

    def terms(self, name: str) -> list[int]:
        """The terms of which there are objects."""
        last = [key.rpartition("/")[2] for key in self.remote.below(f"leases/{name}/")]
        return sorted(int(term) for term in last if term.isdecimal())

    def content(self, name: str, term: int) -> bytes | None:
        """What the object of a term says; None where there is none."""
        return content_of(self.remote, f"leases/{name}/{term}")

    @contextmanager
    def held(self, name: str) -> Iterator[Lease | None]:
        """A lease for the block, which is renewed meanwhile; None where another has it. Nobody waits."""
        lease = self._taken(name)
        if lease is None:
            yield None
            return
        try:
            with every(self.length / _BEATS, lease.renew):
                yield lease
        finally:
            lease.release()

    def _taken(self, name: str) -> Lease | None:
        now = self.clock()
        if now - self._looked.get(name, -LONGEST) < self.length / _LOOKS:
            return None  # it was held a moment ago
        over = self._over(name)
        if over is None:
            self._looked[name] = now
            return None
        lease = Lease(self, name, max(over, default=0) + 1)
        if not self.remote.create(lease.key, lease.content()):
            return None
        others = {term: self.content(name, term) for term in self.terms(name) if term != lease.term}
        if any(content is not None and content != over.get(term) for term, content in others.items()):
            lease.release()
            return None
        self.remote.delete(*(f"leases/{name}/{term}" for term in others))
        if others:
            log.warning("the lease of %s was over: who held it has been silent for its length", name)
        return lease

    def _over(self, name: str) -> dict[int, bytes] | None:
        """The terms that are over, with what their objects say; None where one is not."""
        found: dict[int, bytes] = {}
        for term in self.terms(name):
            content = self.content(name, term)
            if content is None:
                continue
            key, now = f"{name}/{term}", self.clock()
            before, since = self._seen.get(key, (b"", now))
            if before != content:
                self._seen[key] = content, now
                return None
            if now - since < _length(content):
                return None
            found[term] = content
        return found


def _holder(content: bytes) -> str | None:
    """Whose a lease is, as its object says; None where it says nothing sensible."""
    try:
        return str(json.loads(content)["holder"])
    except (ValueError, TypeError, KeyError):
        return None


def _length(content: bytes) -> float:
    """How long a lease lasts, as its object says; one that says nothing sensible, as long as any."""
    try:
        seconds = float(json.loads(content)["seconds"])
    except (ValueError, TypeError, KeyError):
        return LENGTH
    return seconds if 0 < seconds < LONGEST else LONGEST


@contextmanager
def every(seconds: float, do: Callable[[], object]) -> Iterator[None]:
    """During the block something is done again and again, by a thread."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(seconds):
            do()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
