"""What a submission says: ``submission.json``, small enough to be read by people, beside one row for each run.

    sam@1/
      submission.json           what this module describes
      runs.parquet              one row for each run (dgbench.submissions.runs)
      predictions/<run>.parquet what each run predicted, one row for each example (dgbench.selection.predictions)

No field is a path or an address that is opened: files have these names. The level to which a submission is verified is
no field, either: nobody vouches for himself.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dgbench.core.cards import Card, Name
from dgbench.core.formats import Format
from dgbench.core.registry import Track

Line = Annotated[str, Field(min_length=1, max_length=300)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=1_000_000)]

ID = r"^[a-z0-9]+([_-][a-z0-9]+)*@[1-9][0-9]{0,3}$"
"""Of a submission: a folder is called so."""


class OfBoard(Card):
    """The board that is submitted to.

    Attributes:
        rules: Hash of its rules, without what it is called and whom it compares.
    """

    name: Name
    version: int = Field(ge=1, le=10_000)
    rules: str = Field(pattern=r"^[0-9a-f]{16}$")


class Method(Card):
    """Who entered.

    Attributes:
        title: As tables show it.
        recipe: What dgbench runs it by, as ``pego + sam``; None for a method of another code base.
        version: Of the method's own code, in the authors' words.
        code, paper: Where they are; shown as text.
    """

    title: Annotated[str, Field(min_length=1, max_length=100)]
    recipe: Annotated[str, Field(pattern=r"^[a-z0-9_+(),.= -]+$", max_length=300)] | None = None
    version: Line | None = None
    authors: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    paper: Line | None = None
    code: Line | None = None
    licence: Line | None = None
    contact: Line | None = None


class Claims(Card):
    """What cannot be seen in predictions alone, or is to be compared with them.

    Attributes:
        criterion: What chose the models.
        track: ``inductive``: each prediction depends on its own image alone. ``unlabelled``: the method learnt from
            images of its target, without their labels.
        backbone: As the board names it.
        pretrained_on: What the backbone had learnt from before, in words; empty for random weights.
        extra_data: What the method learnt from beside the source domains.
        deterministic: Whether the method has no chance in it, so that trials predict the same.
    """

    criterion: Name
    track: Track
    backbone: Line
    pretrained_on: Annotated[str, Field(max_length=1000)] = ""
    extra_data: Annotated[tuple[Line, ...], Field(max_length=50)] = ()
    deterministic: bool = False


class Choice(Card):
    """The model that was chosen for a target in a trial."""

    target: Line
    trial: Count
    draw: Count
    step: Annotated[int, Field(ge=0, le=100_000_000)]


class Score(Card):
    """What the chosen models reach on a target: mean over the trials, in [0, 1], by the board's headline."""

    target: Line
    accuracy: float = Field(ge=0, le=1)


class TableFile(Card):
    """Content of a file beside this one."""

    sha256: Sha256
    bytes: Annotated[int, Field(ge=1, le=1 << 40)]
    rows: Count


class Provenance(Card):
    """What made the numbers.

    Attributes:
        dgbench, torch: Versions; empty where another code base made them.
        devices: What trained.
        made: When the submission was written, UTC, as ``2026-11-25T12:00:00Z``.
    """

    dgbench: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    torch: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    devices: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    made: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")


class Submission(Card):
    """One method on one board.

    Attributes:
        data: Manifest of each dataset of the board.
        chosen: One for each target and trial.
        scores: One for each target; for readers, since everything is computed again.
        runs: Of ``runs.parquet``.
    """

    id: str = Field(pattern=ID, max_length=100)
    board: OfBoard
    data: Annotated[dict[Line, Sha256], Field(min_length=1, max_length=100)]
    method: Method
    claims: Claims
    chosen: Annotated[tuple[Choice, ...], Field(max_length=20_000)]
    scores: Annotated[tuple[Score, ...], Field(max_length=2_000)]
    runs: TableFile
    provenance: Provenance

    @property
    def base(self) -> str:
        """The method, whatever the submission's number: its recipe, or else the name before the number."""
        return self.method.recipe or self.id.rpartition("@")[0]


SUBMISSION = Format("dgbench.submission", Submission)
"""``submission.json``."""
LARGEST = 2 << 20
"""Bytes of it."""
