"""Submissions on their board: placing one, and the records of those that are placed."""

from __future__ import annotations

import logging
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from dgbench.core.cards import Average, Card
from dgbench.core.errors import DGBenchError, RecordError, StoreError
from dgbench.core.files import whole_folder, write_json
from dgbench.core.formats import Format
from dgbench.core.provenance import revision
from dgbench.runs.collect import Records
from dgbench.selection.predictions import PREDICTIONS
from dgbench.submissions import files
from dgbench.submissions.check import Checked, Level, read, said
from dgbench.submissions.evidence import Others, file_of
from dgbench.submissions.record import ID, Sha256, Submission
from dgbench.submissions.runs import Row, as_records
from dgbench.submissions.verdicts import line

log = logging.getLogger(__name__)


class Verification(Card):
    """What others than its authors have seen of a submission: ``sam@1.verified.json`` beside its folder.

    Attributes:
        submission: SHA-256 of its ``submission.json``, which says what the other files are.
        level: How much they have seen.
        by: The dgbench that looked.
        made: When, UTC.
        trainings: How many were done again.
        difference: The largest between a probability then and now; None where nothing was done again.
    """

    submission: Sha256
    level: Level
    by: Annotated[str, Field(max_length=300)]
    made: Annotated[str, Field(max_length=30)]
    trainings: Annotated[int, Field(ge=0)] = 0
    difference: Annotated[float, Field(ge=0, le=1)] | None = None


VERIFICATION = Format("dgbench.verification", Verification)


@dataclass(frozen=True)
class Placed:
    """A submission that lies beside the board's rules.

    Attributes:
        folder: Where.
        submission, rows: What it says.
        level: What others have seen of it.
    """

    folder: Path
    submission: Submission
    rows: tuple[Row, ...]
    level: Level


def add(folder: Path, checked: Checked, into: Path, *, predictions: bool = True) -> Path:
    """Place a submission that was checked; the same one can be placed twice.

    Args:
        folder: Where it lies.
        checked: What checking it came to.
        into: Where submissions to its board lie.
        predictions: Whether they are placed, too; a board is computed without them.

    Raises:
        RecordError: it was refused, or is no longer what was checked.
        StoreError: another one is there under its name.
    """
    if checked.submission is None or not checked.good:
        refused = [f"{v.code} ({v.reasons[0]})" for v in checked.verdicts if v.outcome == "refused"]
        raise RecordError(f"{folder} is refused: {'; '.join(refused)}; 'dgbench submit check' says more")
    submission = checked.submission
    place = into / submission.id
    if place.exists():
        if files.sha256(place / "submission.json") != files.sha256(folder / "submission.json"):
            raise StoreError(f"{place} is there already, and is another submission; give this one the next number")
    else:
        with whole_folder(place) as unfinished:
            _copy(folder, unfinished, predictions=predictions)
            if read(unfinished) != (submission, checked.rows):
                raise RecordError(f"{folder} changed while it was read; check it again")
    known = verification(place)
    if checked.level != "self-reported" and known is None:
        note(place, Verification(submission=files.sha256(place / "submission.json"), **seen(checked.level)))
    return place


def _copy(folder: Path, to: Path, *, predictions: bool) -> None:
    for name, _ in files.entries(folder):
        if predictions or not name.startswith("predictions/"):
            (to / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(folder / name, to / name, follow_symlinks=False)


def seen(level: Level) -> dict[str, Any]:
    """That this dgbench has seen so much, now."""
    return {"level": level, "by": revision(), "made": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def note(place: Path, noted: Verification) -> Path:
    """Keep what was seen of a placed submission; where that is."""
    path = place.with_name(f"{place.name}.verified.json")
    write_json(path, VERIFICATION.dump(noted))
    return path


def verification(place: Path) -> Verification | None:
    """What was seen of the submission as it lies there now.

    Raises:
        RecordError, CardError: the note cannot be read.
    """
    path = place.with_name(f"{place.name}.verified.json")
    if not path.is_file():
        return None
    noted = VERIFICATION.read(files.read_json(path, 1 << 16), path.name)
    return noted if noted.submission == files.sha256(place / "submission.json") else None


def placed(into: Path) -> list[Placed]:
    """Every submission that lies there; one that cannot be read is named in a warning."""
    found = map(lying, sorted(into.iterdir()) if into.is_dir() else ())
    return [one for one in found if one is not None]


def lying(folder: Path) -> Placed | None:
    """The submission that is a folder; None where there is none, or one that cannot be read, with a warning."""
    if not _is_one(folder):
        return None
    try:
        submission, rows = read(folder)
        if submission.id != folder.name:
            raise RecordError(f"it is called '{submission.id}', and lies in '{folder.name}'")
        noted = verification(folder)
    except DGBenchError as error:
        log.warning("left out: %s: %s", folder.name, line(str(error)))
        return None
    return Placed(folder, submission, rows, noted.level if noted else "self-reported")


def runs_of(folder: Path) -> list[str]:
    """The ids of the runs of a submission that is a folder, as it says them; what cannot be read has none, with a
    warning."""
    if not _is_one(folder):
        return []
    try:
        return [str(run) for run in said(folder)[1]["run"]]
    except DGBenchError as error:
        log.warning("left out: %s: %s", folder.name, line(str(error)))
        return []


def _is_one(folder: Path) -> bool:
    return folder.is_dir() and re.fullmatch(ID, folder.name) is not None


def on_target(one: Placed, run: str) -> pl.DataFrame | None:
    """What a placed submission predicted of the target in a run; None as :func:`in_full`."""
    table = in_full(one, run)
    return None if table is None else table.filter(pl.col("split") == "target")


def in_full(one: Placed, run: str) -> pl.DataFrame | None:
    """All that a placed submission predicted in a run; None where its predictions do not lie beside it.

    What is not what the submission says is named in a warning, and counts as not there.
    """
    row = next((row for row in one.rows if row.run == run and row.rows is not None), None)
    if row is None or not (one.folder / file_of(row)).is_file():
        return None
    path = one.folder / file_of(row)
    try:
        if files.sha256(path) != row.sha256:
            raise RecordError(f"{path.name} is not what was submitted")
        return files.read_table(path, PREDICTIONS, row.rows or 0)
    except DGBenchError as error:
        log.warning("left out: predictions of %s: %s", one.submission.id, line(str(error)))
        return None


def others(of: list[Placed], *, but: str, average: Average = "domains", store: Records | None = None) -> Others:
    """The methods on a board without one of them and its earlier submissions.

    Args:
        of: All that were submitted.
        but: ``Submission.base`` of that one.
        average: Over what the board averages validation.
        store: What it holds of the board.
    """
    tables = [as_records(one.submission, one.rows, average=average) for one in of if one.submission.base != but]
    if store is not None:
        foreign = pl.col("algorithm") != but
        tables.append((store.metrics.filter(foreign), store.runs.filter(foreign)))
    empty = Others()
    metrics, runs = zip((empty.metrics, empty.runs), *tables, strict=True)
    return Others(pl.concat(metrics), pl.concat(runs))
