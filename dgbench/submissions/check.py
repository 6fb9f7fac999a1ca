"""Checking a submission: whatever stands in the folder, the answer is a list of verdicts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from dgbench.core.cards import BoardCard, board_card
from dgbench.core.errors import DGBenchError, RecordError
from dgbench.submissions import files
from dgbench.submissions.asked import Asked
from dgbench.submissions.checks import claims, copies, numbers, rules
from dgbench.submissions.evidence import Evidence, Others, file_of, gather
from dgbench.submissions.record import LARGEST, SUBMISSION, Submission
from dgbench.submissions.runs import MOST, TABLE, Row, from_table
from dgbench.submissions.verdicts import Check, Finding, Verdict, refuse

Level = Literal["self-reported", "recomputed", "spot re-run", "full re-run"]
"""How much of a submission others have seen for themselves, from least to most."""


def rank(level: Level) -> int:
    """How far up a level is."""
    return get_args(Level).index(level)


_TABLE_SIZE = 64 << 20
_PREDICTIONS = re.compile(r"predictions/[0-9a-f]{16}\.parquet")


def _unread(_: Evidence) -> Iterator[Finding]:
    yield from ()


FORM = Check(
    "E01",
    "every file is what a submission has, of a bounded size, and nothing else is there",
    "Let 'dgbench submit make' write the folder, and change nothing in it",
    _unread,
)
CHECKS = tuple(
    sorted((FORM, *rules.CHECKS, *numbers.CHECKS, *copies.CHECKS, *claims.CHECKS), key=lambda check: check.code)
)
"""Every check, by its code."""


@dataclass(frozen=True)
class Checked:
    """What checking came to.

    Attributes:
        submission: What it says; None where it could not be read.
        rows: Its runs.
        verdicts: One for each check.
        level: What it reaches by these verdicts.
    """

    submission: Submission | None
    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...]
    level: Level

    @property
    def good(self) -> bool:
        """Whether nothing refuses it."""
        return all(verdict.outcome in ("passed", "marked") for verdict in self.verdicts)


def check(
    folder: Path,
    board: BoardCard | None = None,
    others: Callable[[Submission, BoardCard], Others] = lambda submission, board: Others(),
    predictions: Path | None = None,
) -> Checked:
    """Check a submission; nothing in it is believed or executed, and nothing is written.

    Args:
        folder: Where it lies.
        board: The rules that it is held against; by default those that come with dgbench under the name that it says.
        others: Gives who else is on the board.
        predictions: Holds the folder ``predictions``, if that lies elsewhere. Its files are those that the submission
            announced, by their SHA-256, or it is refused.
    """
    submission: Submission | None = None
    rows: tuple[Row, ...] = ()
    try:
        submission, rows = read(folder)
        asked = Asked.of(board or board_card(submission.board.name))
        if submission.board.name != asked.board.name:
            raise RecordError(f"it is for the board '{submission.board.name}', not '{asked.board.name}'")
        _known_cases(rows, asked)
        if predictions is not None:
            _brought(predictions, rows)
        evidence = gather(predictions or folder, submission, rows, asked, others(submission, asked.board))
    except DGBenchError as error:
        return _refused(submission, rows, str(error))
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 (a stranger's file may do anything)
        return _refused(submission, rows, f"it cannot be read ({type(error).__name__}: {error})")
    verdicts = tuple(check.verdict(evidence) for check in CHECKS)
    return Checked(submission, rows, verdicts, _level(evidence, verdicts))


def _refused(submission: Submission | None, rows: tuple[Row, ...], why: str) -> Checked:
    verdicts = [FORM.of([refuse(why)]), *(check.unseen() for check in CHECKS[1:])]
    return Checked(submission, rows, tuple(verdicts), "self-reported")


def _level(evidence: Evidence, verdicts: tuple[Verdict, ...]) -> Level:
    outcomes = {verdict.code: verdict.outcome for verdict in verdicts}
    seen = evidence.bundled and "refused" not in outcomes.values() and outcomes["W13"] == "passed"
    return "recomputed" if seen else "self-reported"


def read(folder: Path) -> tuple[Submission, tuple[Row, ...]]:
    """What a submission says and its runs; every file is one that belongs there, and what it was.

    Raises:
        RecordError, CardError: something does not fit.
    """
    there = dict(files.entries(folder))
    submission, table = said(folder)
    rows = from_table(table)
    predicted = {file_of(row): row for row in rows if row.result.status == "ok"}
    _belong(there, predicted)
    for name, row in predicted.items():
        if name in there:
            assert row.bytes is not None
            assert row.sha256 is not None
            _as_announced(folder / name, row.sha256, row.bytes, files.LARGEST_TABLE)
    return submission, rows


def said(folder: Path) -> tuple[Submission, pl.DataFrame]:
    """What a submission says, and the table of its runs, in which no row is looked at.

    Raises:
        RecordError, CardError: they are not what they must be.
    """
    submission = SUBMISSION.read(files.read_json(folder / "submission.json", LARGEST), "submission.json")
    path = folder / "runs.parquet"
    _as_announced(path, submission.runs.sha256, submission.runs.bytes, _TABLE_SIZE)
    if submission.runs.rows > MOST:
        raise RecordError(f"runs.parquet has more than {MOST:,} rows")
    return submission, files.read_table(path, TABLE, submission.runs.rows, _TABLE_SIZE)


def _belong(there: dict[str, int], predicted: dict[str, Row]) -> None:
    """Refuse files that a submission does not have, and predictions of some runs without those of others."""
    bundle = {name for name in there if _PREDICTIONS.fullmatch(name)}
    if strangers := sorted(set(there) - bundle - {"submission.json", "runs.parquet"}):
        raise RecordError(f"{strangers[0]!r} does not belong to a submission")
    if bundle and bundle != set(predicted):
        differing = sorted(bundle ^ set(predicted))[0]
        what = "no run predicted it" if differing in bundle else "it is missing, and others are there"
        raise RecordError(f"{differing}: {what}")


def _brought(folder: Path, rows: tuple[Row, ...]) -> None:
    """Refuse predictions from elsewhere that are not, file by file, those of the rows."""
    for row in rows:
        if row.result.status == "ok":
            assert row.bytes is not None
            assert row.sha256 is not None
            try:
                _as_announced(folder / file_of(row), row.sha256, row.bytes, files.LARGEST_TABLE)
            except RecordError as error:
                raise RecordError(
                    f"{folder}: {error}; predictions that were made again elsewhere are compared by 'dgbench verify'"
                ) from error


def _as_announced(path: Path, sha256: str, size: int, largest: int) -> None:
    content = files.content(path, min(size, largest))
    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
        raise RecordError(f"{path.name} is not the file that was announced (its size or its SHA-256 differs)")


def _known_cases(rows: tuple[Row, ...], asked: Asked) -> None:
    """Predictions are read by what the board knows of their case."""
    for row in rows:
        case = asked.cases.get(row.target)
        if case is None or (row.dataset, row.domain) != (case.dataset, case.target):
            raise RecordError(
                f"the board '{asked.board.name}' has no case '{row.target}' on {row.dataset}/{row.domain}"
            )
    twins: dict[str, Row] = {}
    for row in rows:
        first = twins.setdefault(row.run, row)
        if (first.target, first.trial, first.sha256, first.result) != (row.target, row.trial, row.sha256, row.result):
            raise RecordError(f"run {row.run} stands for two that differ: {first.where}, and {row.where}")
