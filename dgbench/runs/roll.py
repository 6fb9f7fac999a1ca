"""The list of a board's runs as columns: read from the store once, and again when another was written.

    store/boards/<name>/<id>/known/list/   entries.parquet  judges.parquet  rest.parquet  done.json

The list itself is JSON, for people and for whoever changes it. Of a hundred thousand runs that is 140 MB, which take
longer to read than all that is asked of them, and gigabytes as objects: so they become columns some thousand at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.spec import Spec, canonical
from dgbench.runs.judged import JUDGES, judges_of
from dgbench.runs.listed import INDEX, read_in_blocks, read_list
from dgbench.runs.remembered import STAMP, beside, noted, recalled
from dgbench.runs.stamps import stamp
from dgbench.runs.store import Store
from dgbench.selection.records import RUNS

VERSION = f"dgbench.list/1 of {INDEX}"
_MEASURED_SINCE = ("train_seconds", "run_seconds", "device")
ENTRIES = pl.Schema(
    {
        **{name: kind for name, kind in RUNS.items() if name not in _MEASURED_SINCE},
        **{name: pl.String() for name in ("title", "track", "domain")},
    }
)
"""What a board's list says of each run."""
_REST = pl.Schema({"rest": pl.String(), **STAMP})
"""All else that it says, as JSON, and of which file."""
_TABLES = {"entries": ENTRIES, "judges": JUDGES, "rest": _REST}


@dataclass(frozen=True)
class Roll:
    """The list of a board's runs.

    Attributes:
        entries: As :data:`ENTRIES`, in the list's order.
        judges: As :data:`dgbench.runs.judged.JUDGES`.
        rest: All else that the list says.
    """

    entries: pl.DataFrame
    judges: pl.DataFrame
    rest: Spec

    @classmethod
    def of(cls, index: Spec) -> Roll:
        """A list as it is read from JSON."""
        rest = {name: said for name, said in index.items() if name not in ("entries", "judges")}
        return cls(_entries_of(index), judges_of(index), rest)

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
        known = recalled(folder, VERSION, _TABLES)
        if now is not None and [row[1:] for row in known["rest"].iter_rows()] == [now]:
            return cls(known["entries"], known["judges"], json.loads(known["rest"]["rest"].item()))
        try:
            found = cls._in_blocks(listed)
        except (OSError, ValueError):
            found = cls.of(read())  # an older one, or one whose damage is to be said
        if now is not None and found.rest["schema"] == INDEX:
            rest = pl.DataFrame([(json.dumps(found.rest), *now)], _REST, orient="row")
            noted(store, folder, VERSION, {"entries": found.entries, "judges": found.judges, "rest": rest})
        return found

    @classmethod
    def _in_blocks(cls, listed: Path) -> Roll:
        """A list of this version, read as :func:`dgbench.runs.listed.read_in_blocks` does."""
        made = {"entries": _entries_of, "judges": judges_of}
        tables = {name: [of({name: []})] for name, of in made.items()}
        rest = read_in_blocks(listed, lambda name, block: tables[name].append(made[name]({name: block})))
        return cls(pl.concat(tables["entries"]), pl.concat(tables["judges"]), rest)

    def runs(self) -> list[str]:
        """The ids of all runs, those of judges among them."""
        return self._ids("run")

    def trainings(self) -> list[str]:
        """The ids of all trainings, those of judges, and those that others are part of, among them."""
        own = self._ids("training")
        earlier = earlier_of(self.rest)
        return list(dict.fromkeys(chain(own, *(earlier[id_] for id_ in own if id_ in earlier))))

    def _ids(self, kind: str) -> list[str]:
        return pl.concat([self.entries[kind], self.judges[kind]]).unique(maintain_order=True).to_list()

    def more_trials(self, board: BoardCard) -> dict[str, int]:
        """Of algorithms of which the list has more trials than the rules give to all: how many."""
        more = self.entries.filter(pl.col("trial") >= board.trials)
        return dict(more.group_by("algorithm", maintain_order=True).agg(pl.col("trial").max() + 1).iter_rows())


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
