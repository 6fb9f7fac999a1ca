"""Which trainings may be at work at once, so that all that they look at fits below the bounds of cache and store.

Units are *opened* in order, as many as there is room for. What an open unit looks at, shifted images or features, is
held from when it is there until no open unit wants it, so that nothing is taken away and made a second time in between.
Where one unit alone needs more than a bound, nothing is begun.
"""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dgbench.core.amounts import in_words
from dgbench.core.disk import DiskError
from dgbench.core.in_use import use
from dgbench.core.shelf import Shelf
from dgbench.runs.jobs import Job, Unit

HELD = 300
"""Pieces that are held at once, at most, unless one unit looks at more: each takes a file descriptor."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sight:
    """A piece that units look at.

    Attributes:
        shelf: Where it lies.
        mark: The file that is held.
        bytes: What it takes.
    """

    shelf: str
    mark: Path
    bytes: int


@dataclass(frozen=True)
class Budget:
    """What a shelf may take for what units look at.

    Attributes:
        shelf: The shelf.
        fixed: Bytes on it that other things take all the time.
    """

    shelf: Shelf
    fixed: int = 0


class Room:
    """The room for the units of a plan.

    Args:
        units: In the order in which they are opened.
        sights: What each looks at, by its id.
        budgets: By the names that sights give their shelves.

    Raises:
        DiskError: one of them needs more than there may ever be.
    """

    def __init__(
        self, units: Sequence[Unit], sights: Mapping[str, Sequence[Sight]], budgets: Mapping[str, Budget]
    ) -> None:
        self._ahead = {unit.id: unit for unit in units}
        self._open: dict[str, Unit] = {}
        self._sights = {unit.id: frozenset(sights.get(unit.id, ())) for unit in units}
        self._wanted_by_ahead = Counter(id_ for unit in units for id_ in unit.groundwork)
        self._wanted_by_open: Counter[str] = Counter()
        self._users: Counter[Sight] = Counter()
        self._held: dict[Sight, BinaryIO] = {}
        self._most: dict[str, int] = {}
        for name, budget in budgets.items():
            bound = budget.shelf.bound()
            if bound is not None:
                self._most[name] = bound - budget.fixed
                self._refuse(name, budget, bound)
        self._fill()

    def _refuse(self, name: str, budget: Budget, bound: int) -> None:
        """Say what does not fit, before anything is done."""
        everything = {sight for sights in self._sights.values() for sight in sights}
        needed = max((_bytes(name, self._seen(self._group(unit))) for unit in self._ahead.values()), default=0)
        if budget.fixed + needed > bound:
            raise DiskError(budget.shelf.refusal(budget.fixed + needed, bound))
        total = budget.fixed + _bytes(name, everything)
        if total > bound:
            log.warning(
                "%s may take %s (%s), and this plan looks at %s there: some trainings wait for others, and what has "
                "gone by then is made again",
                *(budget.shelf.what, in_words(bound), budget.shelf.variable, in_words(total)),
            )

    def admits(self, job: Job) -> bool:
        """Whether a job may start: one that no unit of the plan waits for always may."""
        if isinstance(job, Unit):
            return job.id not in self._ahead
        return not self._wanted_by_ahead[job.id] or self._wanted_by_open[job.id] > 0

    def over(self, job: Job) -> None:
        """Take note that a job is done, or has failed."""
        if not isinstance(job, Unit):
            self._hold()
        elif job.id in self._ahead:
            self._wanted_by_ahead.subtract(self._ahead.pop(job.id).groundwork)
        elif job.id in self._open:
            self._wanted_by_open.subtract(self._open.pop(job.id).groundwork)
            self._let_go(self._sights[job.id])
        self._fill()

    def _fill(self) -> None:
        """Open as many as there is room for, and one in any case."""
        while self._ahead:
            group = self._group(next(iter(self._ahead.values())))
            added = self._seen(group) - self._users.keys()
            if self._open and added and not self._fits(added):
                break
            for unit in group:
                self._open[unit.id] = self._ahead.pop(unit.id)
                self._wanted_by_ahead.subtract(unit.groundwork)
                self._wanted_by_open.update(unit.groundwork)
                self._users.update(self._sights[unit.id])
        self._hold()

    def _fits(self, added: Collection[Sight]) -> bool:
        together = [*self._users, *added]
        return len(together) <= HELD and all(_bytes(name, together) <= most for name, most in self._most.items())

    def _group(self, unit: Unit) -> list[Unit]:
        """A unit with those that it waits for, which must be open with it."""
        found = {unit.id: unit}
        for start in unit.training.follows():
            if start in self._ahead:
                found |= {one.id: one for one in self._group(self._ahead[start])}
        return list(found.values())

    def _seen(self, units: Iterable[Unit]) -> frozenset[Sight]:
        return frozenset[Sight]().union(*(self._sights[unit.id] for unit in units))

    def _hold(self) -> None:
        """Hold what is there of what open units look at."""
        for sight in self._users:
            if sight not in self._held:
                try:
                    self._held[sight] = use(sight.mark)
                except FileNotFoundError:
                    continue  # it is not made yet
                except OSError as error:
                    if error.errno != errno.EMFILE:
                        raise
                    return  # what is not held is only likely to stay

    def _let_go(self, sights: Iterable[Sight]) -> None:
        for sight in sights:
            self._users[sight] -= 1
            if not self._users[sight]:
                del self._users[sight]
                held = self._held.pop(sight, None)
                if held is not None:
                    held.close()

    def close(self) -> None:
        """Let go of everything."""
        with ExitStack() as stack:
            for held in self._held.values():
                stack.callback(held.close)
        self._held.clear()


def _bytes(shelf: str, sights: Iterable[Sight]) -> int:
    return sum(sight.bytes for sight in sights if sight.shelf == shelf)
