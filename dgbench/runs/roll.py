"""The list of a board's runs as columns: read from the store once, and again when another was written.

    store/boards/<name>/<id>/known/list/   entries.parquet  judges.parquet  pieces.parquet  rest.parquet  done.json

The list itself is JSON, for people and for whoever changes it. Of a hundred thousand runs that is 140 MB, which take
longer to read than all that is asked of them, and gigabytes as objects: so they become columns some thousand at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.spec import Spec, canonical
from dgbench.runs.finished import PIECE, pieces
from dgbench.runs.judged import JUDGES, judges_of
from dgbench.runs.listed import INDEX, read_in_blocks, read_list
from dgbench.runs.remembered import STAMP, Scans, beside, noted, scanned
from dgbench.runs.stamps import NO_STAMP, Stamp, stamp
from dgbench.runs.store import Store
from dgbench.selection.records import RUNS

VERSION = f"dgbench.list/2 of {INDEX}"
_MEASURED_SINCE = ("train_seconds", "run_seconds", "device")
ENTRIES = pl.Schema(
    {
        **{name: kind for name, kind in RUNS.items() if name not in _MEASURED_SINCE},
        **{name: pl.String() for name in ("title", "track", "domain")},
    }
)
"""What a board's list says of each run."""
_REST = pl.Schema({"rest": pl.String(), "before": pl.String(), **STAMP})
"""All else that it says, as JSON, and of which file."""
_TABLES = {"entries": ENTRIES, "judges": JUDGES, "pieces": PIECE, "rest": _REST}
_BEFORE = ("reads", "starts")
"""Of that, what is long and few looks ask for: it has a column of its own."""


@dataclass(frozen=True)
class Roll:
    """The list of a board's runs. Most looks are about little of it, so each table is read when it is asked for.

    Attributes:
        tables: What it says, by name.
    """

    tables: Scans

    @classmethod
    def of(cls, index: Spec, now: Stamp = NO_STAMP) -> Roll:
        """A list as it is read from JSON, from a file with a stamp."""
        rest = {name: said for name, said in index.items() if name not in ("entries", "judges")}
        return cls._made(_entries_of(index), judges_of(index), rest, now)

    @classmethod
    def at(cls, store: Store, board: BoardCard) -> Roll:
        """The list that a store has of a board; errors are those of :meth:`dgbench.runs.store.Store.read_index`."""
        store.sharing.fetch_notes("boards")
        return cls._at(store, store.index(board), lambda: store.read_index(board))

    @classmethod
    def lying(cls, store: Store, listed: Path) -> Roll:
        """A list of a store, whichever board's it is.

        Raises:
            OSError: it cannot be read.
            ValueError, KeyError: it is not what was written, or says less than this version of dgbench reads.
        """
        return cls._at(store, listed, lambda: read_list(listed))

    @classmethod
    def _at(cls, store: Store, listed: Path, read: Callable[[], Spec]) -> Roll:
        now, folder = stamp(listed), beside(listed, "list")
        known = scanned(folder, VERSION, _TABLES)
        if now is not None and known["rest"].select(STAMP.names()).collect().rows() == [now]:
            return cls(known)
        try:
            found = cls._in_blocks(listed, now or NO_STAMP)
        except (OSError, ValueError):
            found = cls.of(read(), now or NO_STAMP)  # an older one, or one whose damage is to be said
        if now is not None and found.rest["schema"] == INDEX:
            noted(store, folder, VERSION, found.tables)
        return found

    @classmethod
    def _in_blocks(cls, listed: Path, now: Stamp) -> Roll:
        """A list of this version, read as :func:`dgbench.runs.listed.read_in_blocks` does."""
        made = {"entries": _entries_of, "judges": judges_of}
        tables = {name: [of({name: []})] for name, of in made.items()}
        rest = read_in_blocks(listed, lambda name, block: tables[name].append(made[name]({name: block})))
        return cls._made(pl.concat(tables["entries"]), pl.concat(tables["judges"]), rest, now)

    @classmethod
    def _made(cls, entries: pl.DataFrame, judges: pl.DataFrame, rest: Spec, now: Stamp) -> Roll:
        before = {name: rest[name] for name in _BEFORE if name in rest}
        said = json.dumps({name: one for name, one in rest.items() if name not in before}), json.dumps(before)
        runs, own = (
            pl.concat([entries[kind], judges[kind]]).unique(maintain_order=True) for kind in ("run", "training")
        )
        earlier = earlier_of(before)
        trainings = dict.fromkeys(chain(own, *(earlier[id_] for id_ in own if id_ in earlier)))
        tables = {
            "entries": entries,
            "judges": judges,
            "pieces": pieces(trainings, runs),
            "rest": pl.DataFrame([(*said, *now)], _REST, orient="row"),
        }
        return cls({name: table.lazy() for name, table in tables.items()})

    @cached_property
    def entries(self) -> pl.DataFrame:
        """As :data:`ENTRIES`, in the list's order."""
        return self.tables["entries"].collect()

    @cached_property
    def judges(self) -> pl.DataFrame:
        """As :data:`dgbench.runs.judged.JUDGES`."""
        return self.tables["judges"].collect()

    @cached_property
    def pieces(self) -> pl.DataFrame:
        """All runs, those of judges among them, and all trainings, with those that others are part of: as
        :data:`dgbench.runs.finished.PIECE`."""
        return self.tables["pieces"].collect()

    @cached_property
    def rest(self) -> Spec:
        """All else that the list says, but for :attr:`before`."""
        return self._said("rest")

    @cached_property
    def before(self) -> Spec:
        """What trainings read, and start from: for :func:`earlier_of`."""
        return self._said("before")

    def _said(self, column: str) -> Spec:
        content: Spec = json.loads(self.tables["rest"].select(column).collect().item())
        return content

    def work(self) -> pl.DataFrame:
        """Of each entry, and of each judge, ``run, training, dataset``."""
        names = ("run", "training", "dataset")
        return pl.concat([self.tables[name].select(names) for name in ("entries", "judges")]).collect()

    def more_trials(self, board: BoardCard) -> dict[str, int]:
        """Of algorithms of which the list has more trials than the rules give to all: how many."""
        more = self.tables["entries"].filter(pl.col("trial") >= board.trials)
        return dict(
            more.group_by("algorithm", maintain_order=True).agg(pl.col("trial").max() + 1).collect().iter_rows()
        )


def earlier_of(index: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Of trainings that others are part of, by a board's list: these, and what is part of them in turn.

    They are those of :meth:`dgbench.train.spec.TrainingSpec.own`.
    """
    reads, starts = index.get("reads", {}), index.get("starts", {})
    rounds = {id_: [one["weights"]] for id_, one in starts.items() if len(one) == 2 and len({*one.values()}) == 1}
    own = {id_: (*reads.get(id_, ()), *rounds.get(id_, ())) for id_ in {**reads, **rounds}}

    @cache
    def before(training: str) -> tuple[str, ...]:
        near = own.get(training, ())
        return tuple(dict.fromkeys(chain(*map(before, near), near)))

    return {id_: found for id_ in own if (found := before(id_))}


def _entries_of(index: Spec) -> pl.DataFrame:
    """The entries on a list of runs, as :data:`ENTRIES`."""
    rows = [entry | {"hyperparameters": canonical(entry["hyperparameters"])} for entry in index["entries"]]
    return table(rows, ENTRIES)


def table(rows: list[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    """Records of a schema, of what more there is in each row nothing."""
    return pl.DataFrame([_column(name, [row[name] for row in rows], kind) for name, kind in schema.items()])


def _column(name: str, values: list[Any], kind: pl.DataType) -> pl.Series:
    """A column; of lists those that differ are made once, since to make one takes as long as hundreds of numbers."""
    if not isinstance(kind, pl.List):
        return pl.Series(name, values, kind)
    places = {each: place for place, each in enumerate(dict.fromkeys(map(tuple, values)))}
    return pl.Series(name, [*map(list, places)], kind).gather([places[tuple(each)] for each in values])
