"""What finished work says of itself: read from the store once, and again where it has changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.errors import DamagedError
from dgbench.core.files import read_json
from dgbench.core.seals import DONE, Files, checked
from dgbench.runs.remembered import NO_STAMP, STAMP, noted, place, recalled, stamp
from dgbench.runs.store import Kind, Store
from dgbench.selection.records import METRICS, WEIGHED

VERSION = "dgbench.finished/2"
PIECE = pl.Schema({"kind": pl.String(), "id": pl.String()})
NOTES = pl.Schema(
    {**PIECE, "seconds": pl.Float64(), "device": pl.String(), "torch": pl.String(), "dgbench": pl.String()}
)
"""Of each piece what its seal says."""
_RESULT = ("run", "step", "split", "domain", "view", "accuracy", "nll", "n", "digest")
MEASURED = pl.Schema({name: METRICS[name] for name in _RESULT})
"""Of each run every row of its result."""
WEIGHTS = "weights.parquet"
BESIDE = pl.Schema({"step": pl.Int64(), **dict.fromkeys(WEIGHED, pl.Float64())})
"""Of each candidate of a run that looks at weights what it finds, in :data:`WEIGHTS`."""
LOOKED_AT = pl.Schema({"run": pl.String(), **BESIDE})
FILES = pl.Schema({**PIECE, "file": pl.String(), **STAMP})
"""Of each piece every file, its seal among them, as it was when it was read."""
_TABLES = {"files": FILES, "notes": NOTES, "measured": MEASURED, "weights": LOOKED_AT}
_OF_RUNS = ("measured", "weights")


@dataclass(frozen=True)
class Finished:
    """What finished work says of itself.

    Attributes:
        notes: As :data:`NOTES`, of trainings and of runs.
        measured: As :data:`MEASURED`.
        weights: As :data:`LOOKED_AT`.
        damaged: Runs that are finished, but whose result is not what was written.
    """

    notes: pl.DataFrame
    measured: pl.DataFrame
    weights: pl.DataFrame
    damaged: frozenset[str]

    @classmethod
    def of(cls, store: Store, board: BoardCard, trainings: Sequence[str], runs: Sequence[str]) -> Finished:
        """Of some trainings and runs of a board those that are finished; what is damaged is said.

        Those are read that were not before, or of which a file has another stamp than then.
        """
        folder = place(store, board, "finished")
        known = recalled(folder, VERSION, _TABLES)
        asked = _pieces([("training", id_) for id_ in trainings] + [("run", id_) for id_ in runs])
        stale = _changed(store, known["files"].join(asked, on=PIECE.names(), how="semi"))
        kept = {
            "files": known["files"].join(stale, on=PIECE.names(), how="anti"),
            "notes": known["notes"].join(stale, on=PIECE.names(), how="anti"),
            **{name: known[name].join(stale, left_on="run", right_on="id", how="anti") for name in _OF_RUNS},
        }
        fresh, damaged = _read(store, asked.join(kept["notes"], on=PIECE.names(), how="anti", maintain_order="left"))
        tables = {name: pl.concat([kept[name], fresh[name]]) for name in _TABLES}
        if stale.height or fresh["notes"].height:
            noted(store, folder, VERSION, tables)
        return cls(
            tables["notes"].join(asked, on=PIECE.names(), how="semi"),
            tables["measured"].join(asked, left_on="run", right_on="id", how="semi"),
            tables["weights"].join(asked, left_on="run", right_on="id", how="semi"),
            damaged,
        )


def _known(value: Any) -> Any:
    """What is not known is no number: of values there are no likelihoods."""
    return math.nan if value is None else value


def _pieces(found: Iterable[tuple[Kind, str]]) -> pl.DataFrame:
    return pl.DataFrame(list(found), PIECE, orient="row")


def _changed(store: Store, files: pl.DataFrame) -> pl.DataFrame:
    """The pieces of which a file is no longer as it was."""
    folders = {"training": store.folder("training", ""), "run": store.folder("run", "")}
    roots = {kind: f"{folder}/" for kind, folder in folders.items()}  # text: joining many thousands of paths takes time
    now = (stamp(f"{roots[kind]}{id_}/{file}") for kind, id_, file in files.select(*PIECE, "file").iter_rows())
    rows = zip(files.select(*PIECE).iter_rows(), files.select(*STAMP).iter_rows(), now, strict=True)
    return _pieces({piece for piece, before, there in rows if there != before})


def _read(store: Store, pieces: pl.DataFrame) -> tuple[dict[str, pl.DataFrame], frozenset[str]]:
    """Read pieces, and the stamps of their files before that; which runs have a damaged result."""
    files: list[tuple[Any, ...]] = []
    notes: list[tuple[Any, ...]] = []
    measured: dict[str, list[Any]] = {name: [] for name in MEASURED}
    weights = [LOOKED_AT.to_frame()]
    damaged = set()
    for kind, id_ in pieces.iter_rows():
        folder = store.folder(kind, id_)
        before = stamp(folder / DONE)
        note = store.done(kind, id_)
        if note is None or before is None:
            continue
        stamps = {DONE: before} | {file: stamp(folder / file) or NO_STAMP for file in note["files"]}
        if kind == "run":
            try:
                rows = read_json(checked(folder, "result.json", note["files"]))["metrics"]
                weights += looked_at(folder, id_, note["files"])
            except DamagedError as error:
                store.say(error)
                damaged.add(id_)
                continue
            for name, column in measured.items():
                column += [id_] * len(rows) if name == "run" else [_known(row[name]) for row in rows]
        notes.append((kind, id_, *(note[name] for name in ("seconds", "device", "torch", "dgbench"))))
        files += [(kind, id_, file, *found) for file, found in stamps.items()]
    fresh = {
        "files": pl.DataFrame(files, FILES, orient="row"),
        "notes": pl.DataFrame(notes, NOTES, orient="row"),
        "measured": pl.DataFrame(measured, MEASURED),
        "weights": pl.concat(weights),
    }
    return fresh, frozenset(damaged)


def looked_at(folder: Path, run: str, files: Files) -> list[pl.DataFrame]:
    """What a finished run found of weights, as :data:`LOOKED_AT`; nothing of one that did not look at them.

    Raises:
        DamagedError: it is not what was written.
    """
    if WEIGHTS not in files:
        return []
    found = pl.read_parquet(checked(folder, WEIGHTS, files))
    return [found.select(pl.lit(run).alias("run"), *(pl.col(name).cast(kind) for name, kind in BESIDE.items()))]
