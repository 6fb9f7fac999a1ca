"""How far the boards of a store are, as any machine sees it that sees the store."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dgbench.runs.finished import PIECE, Pieces
from dgbench.runs.roll import Roll
from dgbench.runs.store import Store

WINDOW = 3600.0
"""Seconds: how fast a board is going is what was finished in the last of them."""


@dataclass(frozen=True)
class Spent:
    """What a kind of device has done for a board, as far as finished work says it.

    Attributes:
        device: A processor's kind, or an accelerator's name.
        seconds: Of trainings and of runs, each piece once.
        images_per_second: Of trainings, looks at checkpoints among their time; None where none of them says it.
    """

    device: str
    seconds: float
    images_per_second: float | None


@dataclass(frozen=True)
class Status:
    """How far a board is.

    Attributes:
        board, rules: Its name, and that of the list of its runs: which set of rules it is.
        runs, trainings: How many there are, those of judges among them.
        runs_finished, trainings_finished: Of them.
        at_work: Pieces of it that somebody holds; a process that was killed may have left its lock, until the next
            ``dgbench run`` on its machine, or its lease, until another machine does that piece.
        runs_failed: Runs that are not finished, and whose training, or they themselves, failed when last tried.
        runs_per_hour: By those that were finished in the last hour, as they say; None where not two say so.
        seconds_to_go: At that pace, for those that neither are finished nor have failed; None where nobody knows.
        spent: By device.
        memory_bytes: The most that was resident of a process; None where no piece says it.
        peak_bytes: The most that tensors took on an accelerator; None where none did the work.
    """

    board: str
    rules: str
    runs: int
    runs_finished: int
    runs_failed: int
    trainings: int
    trainings_finished: int
    at_work: int
    runs_per_hour: float | None
    seconds_to_go: float | None
    spent: tuple[Spent, ...]
    memory_bytes: int | None
    peak_bytes: int | None

    @property
    def runs_left(self) -> int:
        """Those that neither are finished nor have failed."""
        return self.runs - self.runs_finished - self.runs_failed

    @property
    def share(self) -> float:
        """Of its runs those that are finished, in [0, 1]."""
        return self.runs_finished / self.runs if self.runs else 1.0


@dataclass(frozen=True)
class StoreStatus:
    """How far a store is.

    Attributes:
        boards: By name, each once for every set of rules.
        unreadable: Lists of runs that are damaged, or of another version of dgbench.
        seen: When, in seconds since 1970.
    """

    boards: tuple[Status, ...]
    unreadable: tuple[Path, ...]
    seen: float


def status(store: Store) -> StoreStatus:
    """How far the boards of a store are now. Damage is said, and what is damaged counts as not done."""
    store.sharing.fetch_notes("failures")
    held = {path.stem for path in (store.root / "locks").glob("*.lock")} | store.sharing.at_work()
    pieces = pl.DataFrame([name.partition("-")[::2] for name in held], PIECE, orient="row")
    failed = {path.stem for path in (store.root / "failures").glob("*.json")}
    found, unreadable, now = [], [], time.time()
    for listed in store.indices():
        try:
            roll = Roll.lying(store, listed)
        except (OSError, ValueError, KeyError):
            unreadable.append(listed)
            continue
        found.append(_of_board(store, listed, roll, pieces, failed, now))
    return StoreStatus(tuple(found), tuple(unreadable), now)


def _of_board(store: Store, listed: Path, roll: Roll, held: pl.DataFrame, failed: set[str], now: float) -> Status:
    pieces = Pieces.of(store, listed, roll.pieces)
    finished = {kind: pieces.notes.filter(kind=kind)["id"] for kind in ("training", "run")}
    lost = roll.work().filter(pl.col("training").is_in(list(failed)), ~pl.col("run").is_in(finished["run"].implode()))
    runs, trainings = (roll.pieces.filter(kind=kind).height for kind in ("run", "training"))
    broken, done = lost["run"].n_unique(), len(finished["run"])
    left, pace = runs - done - broken, _pace(pieces, now)
    return Status(
        board=listed.parent.name,
        rules=listed.stem,
        runs=runs,
        runs_finished=done,
        runs_failed=broken,
        trainings=trainings,
        trainings_finished=len(finished["training"]),
        at_work=roll.pieces.join(held, on=PIECE.names(), how="semi").height,
        runs_per_hour=None if pace is None else 3600 * pace,
        seconds_to_go=0.0 if not left else None if pace is None else left / pace,
        spent=_spent(pieces.notes),
        memory_bytes=pieces.notes["memory_bytes"].max(),  # type: ignore[arg-type] # of integers
        peak_bytes=pieces.notes["peak_bytes"].max(),  # type: ignore[arg-type] # likewise
    )


def _pace(pieces: Pieces, now: float) -> float | None:
    """Runs a second, by those that were finished in the last hour; clocks may differ a little.

    Their seals say when: the time of a file is when it was copied. Those of before do not, and do not count.
    """
    ended = pieces.notes.filter(kind="run")["ended"]
    recent = ended.filter(ended > now - WINDOW)
    first: int | None = recent.min()  # type: ignore[assignment] # of integers
    if recent.len() < 2 or first is None:
        return None
    return (recent.len() - 1) / max(now - first, 1.0)


def _spent(notes: pl.DataFrame) -> tuple[Spent, ...]:
    told = pl.col("images") > 0
    by_device = notes.group_by("device").agg(
        pl.col("seconds").sum(),
        images_per_second=pl.when(told.any()).then(
            pl.col("images").filter(told).sum() / pl.col("seconds").filter(told).sum()
        ),
    )
    return tuple(Spent(*row) for row in by_device.sort("device").iter_rows())
