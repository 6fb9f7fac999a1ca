"""What of a submission can be done again, and what is noted of it then."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from dgbench.core.errors import RecordError
from dgbench.selection.predictions import PREDICTIONS
from dgbench.submissions import files
from dgbench.submissions.check import Checked, Level, rank
from dgbench.submissions.evidence import file_of
from dgbench.submissions.place import Verification, note, seen, verification
from dgbench.submissions.runs import Row


class Outcome(Protocol):
    """What came of doing a run again, as ``dgbench.runs.again`` tells it."""

    @property
    def training(self) -> str:
        """Which training it comes from."""

    @property
    def difference(self) -> float:
        """The largest between a probability then and now."""

    @property
    def agrees(self) -> bool:
        """Whether it is the same."""


@dataclass(frozen=True)
class Claimed:
    """The runs of a good submission that dgbench can do again.

    Attributes:
        folder: Where it lies.
        recipe: What dgbench runs it by.
        rows: By run.
        predictions: Holds the folder of predictions; None where they are not here.
    """

    folder: Path
    recipe: str
    rows: dict[str, Row]
    predictions: Path | None

    @classmethod
    def of(cls, folder: Path, checked: Checked, predictions: Path | None = None) -> Claimed:
        """Those of a submission that was checked, with its predictions from elsewhere if they lie there.

        Raises:
            RecordError: it is refused, or comes from another code base.
        """
        said = checked.submission
        if said is None or not checked.good:
            raise RecordError(f"{folder} is refused, so nothing of it is done again; 'dgbench submit check' says why")
        if said.method.recipe is None:
            raise RecordError(f"{folder} is a method of another code base, which dgbench cannot run again")
        rows = {row.run: row for row in checked.rows if row.result.status == "ok"}
        home = predictions or folder
        return cls(folder, said.method.recipe, rows, home if (home / "predictions").is_dir() else None)

    def known(self, planned: Collection[str]) -> None:
        """Refuse runs that are not those which dgbench would do by the rules."""
        strange = sorted(set(self.rows) - set(planned))
        if strange:
            raise RecordError(
                f"{self.folder}: {len(strange)} of {len(self.rows)} runs, the first of them {strange[0]}, are not what "
                "this dgbench does by these rules; another version made them, see 'provenance' in its submission.json"
            )

    def then(self, run: str) -> pl.DataFrame | None:
        """What a run predicted; None where that is not here."""
        row = self.rows[run]
        if self.predictions is None:
            return None
        assert row.rows is not None
        return files.read_table(self.predictions / file_of(row), PREDICTIONS, row.rows)

    def vouch(self, found: Sequence[Outcome]) -> Path | None:
        """Note beside the folder what was done again and came out the same; where that is, if anything is to be noted.

        A part of the trainings says nothing of the rest, whose scores nobody computed where predictions are missing and
        were not there before. And nothing takes the place of a note that says more.
        """
        if not found or not all(one.agrees for one in found):
            return None
        trainings = {one.training for one in found}
        whole = trainings == {row.training for row in self.rows.values()}
        level: Level = "full re-run" if whole else "spot re-run"
        known = verification(self.folder)
        known_level: Level = known.level if known else "self-reported"
        if rank(known_level) > rank(level):
            return None
        if not whole and self.predictions is None and known_level == "self-reported":
            return None
        about = {"trainings": len(trainings), "difference": max(one.difference for one in found)}
        submission = files.sha256(self.folder / "submission.json")
        return note(self.folder, Verification(submission=submission, **seen(level), **about))
