"""What finished work says of itself: read from the store once, and again where it has changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.core.errors import DamagedError
from dgbench.core.seals import DONE, Files, checked
from dgbench.runs.copies import FOLDERS, SPEC
from dgbench.runs.remembered import STAMP, Scans, beside, held, noted, scanned, stamped
from dgbench.runs.said import note_of, rows_of, unfolding
from dgbench.runs.stamps import NO_STAMP, stamp
from dgbench.runs.store import Kind, Store
from dgbench.selection.records import METRICS, WEIGHED

VERSION = "dgbench.finished/6"
PIECE = pl.Schema({"kind": pl.String(), "id": pl.String()})
COST = pl.Schema(dict.fromkeys(("images", "memory_bytes", "peak_bytes", "ended"), pl.Int64()))
"""What it took, as :func:`dgbench.train.ending.cost` has it, and when a run was finished, in seconds since 1970."""
NOTES = pl.Schema(
    {**PIECE, "seconds": pl.Float64(), "device": pl.String(), "torch": pl.String(), "dgbench": pl.String(), **COST}
)
"""Of each piece what its seal says; null of its cost what it does not say."""
_RESULT = ("run", "step", "split", "domain", "view", "accuracy", "nll", "n", "digest")
MEASURED = pl.Schema({name: METRICS[name] for name in _RESULT})
"""Of each run every row of its result."""
_NAMES = ("split", "domain", "view")
COMPACT = pl.Schema({**MEASURED, **dict.fromkeys(_NAMES, pl.Categorical())})
"""The same with numbers for names: of a hundred thousand runs there are millions of rows, and few names."""
NAMED = pl.col(_NAMES).cast(pl.String)
"""The names again."""
WEIGHTS = "weights.parquet"
BESIDE = pl.Schema({"step": pl.Int64(), **dict.fromkeys(WEIGHED, pl.Float64())})
"""Of each candidate of a run that looks at weights what it finds, in :data:`WEIGHTS`."""
LOOKED_AT = pl.Schema({"run": pl.String(), **BESIDE})
FILES = pl.Schema({**PIECE, "file": pl.String(), **STAMP})
"""Of each piece every file, its seal among them, as it was when it was read, but for :data:`dgbench.runs.copies.SPEC`:
there are as many of those as of seals, and no number follows from one."""
_AT_ONCE = 2000
"""How many pieces are read before what they say becomes columns."""
_OF_PIECES = {"files": FILES, "notes": NOTES}
_OF_RUNS = {"measured": COMPACT, "weights": LOOKED_AT}
_TABLES = {**_OF_PIECES, **_OF_RUNS}


@dataclass(frozen=True)
class Pieces:
    """Which work of a board is finished.

    Attributes:
        notes: As :data:`NOTES`, of trainings and of runs.
        files: As :data:`FILES`.
        damaged: Runs that are finished, but whose result is not what was written.
    """

    notes: pl.DataFrame
    files: pl.DataFrame
    damaged: frozenset[str]

    @classmethod
    def of(cls, store: Store, listed: Path, asked: pl.DataFrame) -> Pieces:
        """Of some trainings and runs on the list of a board, as :data:`PIECE`, those that are finished; what is damaged
        is said.

        Those are read that were not before, or of which a file has another stamp than then. What runs measured is not.
        """
        found, damaged = _now(store, listed, asked, _OF_PIECES)
        return cls(found["notes"].collect(), found["files"].collect(), damaged)


@dataclass(frozen=True)
class Finished(Pieces):
    """What finished work says of itself.

    Attributes:
        measured: As :data:`COMPACT`. It stays as it is noted, and whoever asks for some runs reads those.
        weights: As :data:`LOOKED_AT`.
    """

    measured: pl.LazyFrame
    weights: pl.DataFrame

    @classmethod
    def of(cls, store: Store, listed: Path, asked: pl.DataFrame) -> Finished:
        """As :meth:`Pieces.of`, with what runs measured."""
        found, damaged = _now(store, listed, asked, _TABLES)
        return cls(
            found["notes"].collect(), found["files"].collect(), damaged, found["measured"], found["weights"].collect()
        )


def pieces(trainings: Iterable[str] | pl.Series, runs: Iterable[str] | pl.Series) -> pl.DataFrame:
    """Trainings and runs, as :data:`PIECE`."""
    kinds: dict[Kind, Iterable[str] | pl.Series] = {"training": trainings, "run": runs}
    return pl.concat(
        pl.select(kind=pl.lit(kind), id=pl.Series(ids if isinstance(ids, pl.Series) else [*ids], dtype=pl.String))
        for kind, ids in kinds.items()
    )


def _known(value: Any) -> Any:
    """What is not known is no number: of values there are no likelihoods."""
    return math.nan if value is None else value


def _now(
    store: Store, listed: Path, asked: pl.DataFrame, schemas: Mapping[str, pl.Schema]
) -> tuple[Scans, frozenset[str]]:
    """Some tables of what was asked for, and which runs are damaged."""
    folder = beside(listed, "finished")
    known = _recalled(folder, schemas)
    stale, fresh, damaged = _news(store, _asked(known, asked), asked)
    if stale.height or fresh["notes"].collect().height:
        whole = _recalled(folder, _TABLES)
        if not whole["files"].collect().equals(known["files"].collect()):  # more is noted, or a table is damaged
            stale, fresh, damaged = _news(store, _asked(whole, asked), asked)
        known = {name: pl.concat([table, fresh[name]]) for name, table in _without(whole, stale).items()}
        if listed.is_file():
            noted(store, folder, VERSION, known)
    return _asked(known, asked), damaged


def _recalled(folder: Path, schemas: Mapping[str, pl.Schema]) -> Scans:
    """What was noted; of pieces it is read, of runs not yet."""
    found = scanned(folder, VERSION, schemas)
    return found | {name: found[name].collect().lazy() for name in _OF_PIECES}


def _news(store: Store, known: Scans, asked: pl.DataFrame) -> tuple[pl.DataFrame, Scans, frozenset[str]]:
    """The pieces that are not as they were noted, and, of these and of what is new, what :func:`_read` finds."""
    stale = _changed(store, known["files"].collect())
    left = _without(known, stale)["notes"].collect()
    unread = (
        asked.join(left, on=PIECE.names(), how="anti", maintain_order="left")
        if left.height < asked.height
        else asked[:0]
    )
    return stale, *_read(store, unread)


def _asked(known: Scans, asked: pl.DataFrame) -> Scans:
    """What is known of some pieces: of a board's plan more is noted than its list of runs names."""
    return _without(known, known["notes"].select(PIECE.names()).collect().join(asked, on=PIECE.names(), how="anti"))


def _without(known: Scans, pieces: pl.DataFrame) -> Scans:
    """What is known of all other pieces; itself where that is all, since a copy would be large."""
    if not pieces.height:
        return known
    others, gone = pieces.lazy(), pl.col("run").is_in(pieces.filter(kind="run")["id"].implode())
    return {
        name: table.join(others, on=PIECE.names(), how="anti").collect().lazy()
        if name in _OF_PIECES
        else table.filter(~gone)
        for name, table in known.items()
    }


def _changed(store: Store, files: pl.DataFrame) -> pl.DataFrame:
    """The pieces of which a file is no longer as it was, or that others, who share the store, have no longer."""
    seals = files.filter(file=DONE).select(PIECE.names()) if store.sharing.url else PIECE.to_frame()
    gone = [not store.sharing.finished(kind, id_) for kind, id_ in seals.iter_rows()]  # new seals are here after that
    folder = pl.col("kind").replace_strict(FOLDERS, return_dtype=pl.String)
    now = stamped(store.root, files.select(pl.concat_str(folder, "id", "file", separator="/")).to_series())
    other = files.filter(pl.any_horizontal(pl.col(name) != now[name] for name in STAMP)).select(PIECE.names())
    return pl.concat([seals.filter(pl.Series(gone, dtype=pl.Boolean)), other]).unique()


def _read(store: Store, pieces: pl.DataFrame) -> tuple[Scans, frozenset[str]]:
    """Read pieces, and the stamps of their files before that; which runs have a damaged result."""
    read = [_read_some(store, some) for some in (pieces[:0], *pieces.iter_slices(_AT_ONCE))]
    fresh = {name: pl.concat([tables[name] for tables, _ in read]) for name in _TABLES}
    return fresh, frozenset().union(*(damaged for _, damaged in read))


def _read_some(store: Store, pieces: pl.DataFrame) -> tuple[Scans, set[str]]:
    """As :func:`_read`, of as many as may be Python's objects at a time."""
    files: list[tuple[Any, ...]] = []
    notes: list[tuple[Any, ...]] = []
    measured: dict[str, list[Any]] = {name: [] for name in MEASURED}
    weights = [LOOKED_AT.to_frame()]
    damaged: set[str] = set()
    for kind, id_ in pieces.iter_rows():
        if not store.sharing.finished(kind, id_):  # it fetches the seal, so no stamp is older than that
            continue
        folder = store.folder(kind, id_)
        before = stamp(folder / DONE)
        note = store.done(kind, id_)
        if note is None or before is None:
            continue
        stamps = {DONE: before} | {file: stamp(folder / file) or NO_STAMP for file in note["files"] if file != SPEC}
        try:
            said = note_of(folder, note)
            if kind == "run":
                rows = rows_of(folder, note["files"])
                weights += looked_at(folder, id_, note["files"])
                for name, column in measured.items():
                    column += [id_] * len(rows) if name == "run" else [_known(row[name]) for row in rows]
        except DamagedError as error:
            store.say(error)
            damaged |= {id_} if kind == "run" else set()
            continue
        notes.append((kind, id_, *said, *map(note.get, COST)))
        files += [(kind, id_, file, *found) for file, found in stamps.items()]
    fresh = {
        "files": pl.DataFrame(files, FILES, orient="row").lazy(),
        "notes": pl.DataFrame(notes, NOTES, orient="row").lazy(),
        "measured": held(pl.DataFrame(measured, COMPACT)),
        "weights": held(pl.concat(weights)),
    }
    return fresh, damaged


def looked_at(folder: Path, run: str, files: Files) -> list[pl.DataFrame]:
    """What a finished run found of weights, as :data:`LOOKED_AT`; nothing of one that did not look at them.

    Raises:
        DamagedError: it is not what was written.
    """
    if WEIGHTS not in files:
        return []
    with unfolding(folder):
        found = pl.read_parquet(checked(folder, WEIGHTS, files))
        return [found.select(pl.lit(run).alias("run"), *(pl.col(name).cast(kind) for name, kind in BESIDE.items()))]
