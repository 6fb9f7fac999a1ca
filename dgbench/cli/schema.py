"""``dgbench schema``: what records hold, for other programs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from dgbench.cli.output import print_json
from dgbench.core.formats import Format
from dgbench.core.results import RESULT
from dgbench.submissions.record import SUBMISSION


class Record(StrEnum):
    """A kind of record."""

    run = "run"
    submission = "submission"


_FORMATS: dict[Record, Format[Any]] = {Record.run: RESULT, Record.submission: SUBMISSION}


def add(app: typer.Typer) -> None:
    """Add the verb that prints schemas."""
    app.command()(schema)


def schema(
    record: Annotated[Record | None, typer.Argument(help="run or submission; both of them if left out")] = None,
) -> None:
    """Print the JSON Schema of a record.

    That of a run says how it ended, that of a submission what is submitted to a board.
    """
    if record is not None:
        print_json(_FORMATS[record].json_schema())
    else:
        print_json({kind.value: described.json_schema() for kind, described in _FORMATS.items()})
