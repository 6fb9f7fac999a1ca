"""Tables beside the list of a board's runs: what was read of its finished work, so that it is read once.

    store/boards/<name>/<id>/known/<what>/   *.parquet  done.json

Nothing is in them that the store does not say, and it is believed only where a cheap look shows that it is still said:
each row is of files whose *stamps* are noted, and a file whose stamp has changed is read again. A table that is gone,
damaged, of another version or of another store is no loss. It is written whole, where it can be written.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.disk import DiskError, writing
from dgbench.core.errors import DamagedError
from dgbench.core.files import whole_folder
from dgbench.core.locks import alone
from dgbench.core.seals import checked, seal, sealed
from dgbench.runs.stamps import stamps
from dgbench.runs.store import Store

STAMP = pl.Schema({"inode": pl.UInt64(), "size": pl.Int64(), "modified": pl.Int64(), "changed": pl.Int64()})
"""A :data:`dgbench.runs.stamps.Stamp`."""

Tables = dict[str, pl.DataFrame]
Scans = dict[str, pl.LazyFrame]
"""Tables that are read when something of them is asked for: held as they lie in files, which is a tenth of them, or
whole where they were just made."""
log = logging.getLogger(__name__)


def stamped(root: Path, paths: pl.Series) -> pl.DataFrame:
    """The stamps of files in a folder, by their paths in it, as :data:`STAMP`."""
    found = stamps(root, paths)
    return pl.DataFrame([pl.Series(name, found[:, place]).cast(STAMP[name]) for place, name in enumerate(STAMP)])


def place(store: Store, board: BoardCard, what: str) -> Path:
    """The folder of some tables."""
    return beside(store.index(board), what)


def beside(listed: Path, what: str) -> Path:
    """The folder of some tables beside the list of a board's runs."""
    return listed.with_suffix("") / "known" / what


def recalled(folder: Path, version: str, schemas: Mapping[str, pl.Schema]) -> Tables:
    """Tables as they were noted: :func:`scanned`, all of them read."""
    return {name: table.collect() for name, table in scanned(folder, version, schemas).items()}


def scanned(folder: Path, version: str, schemas: Mapping[str, pl.Schema]) -> Scans:
    """Tables as they were noted; empty ones where there are none that are whole and of this version.

    Args:
        folder: Theirs.
        version: What they mean; the number in it is raised whenever that changes.
        schemas: Of each.
    """
    note, whole = _note(folder), False
    if note is not None and note.get("version") == version:
        try:
            paths = {name: checked(folder, f"{name}.parquet", note["files"]) for name in schemas}
            found = {name: pl.scan_parquet(path.read_bytes()) for name, path in paths.items()}
            whole = all(found[name].collect_schema() == schema for name, schema in schemas.items())
        except (DamagedError, OSError, ValueError, pl.exceptions.PolarsError) as error:
            log.debug("%s is made again (%r)", folder, error)
        if _note(folder) != note:  # another process noted more meanwhile, and some of this may be of before
            return scanned(folder, version, schemas)
    return found if whole else {name: schema.to_frame().lazy() for name, schema in schemas.items()}


def _note(folder: Path) -> dict[str, Any] | None:
    """The seal of tables that are there; None where they are not whole."""
    try:
        return sealed(folder)
    except DamagedError as error:
        log.debug("%s is made again (%r)", folder, error)
        return None


def held(table: pl.DataFrame) -> pl.LazyFrame:
    """A table, held as it would lie in a file."""
    file = io.BytesIO()
    table.write_parquet(file)
    return pl.scan_parquet(file.getvalue())


def noted(
    store: Store, folder: Path, version: str, tables: Mapping[str, pl.DataFrame] | Mapping[str, pl.LazyFrame]
) -> None:
    """Note tables for next time, in place of those that are there; not where another process does, or nobody can."""
    name = "-".join(folder.relative_to(store.root).parts)
    with suppress(DiskError), writing(store.root), alone(store.root / "locks" / f"{name}.lock") as mine:
        if mine:
            with whole_folder(folder) as made:
                for table, content in tables.items():
                    content.lazy().sink_parquet(made / f"{table}.parquet")
                seal(made, {"version": version})
