"""What a run says of itself: how it ended, and what it measured. Boards, submissions and whatever runs it share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, SerializerFunctionWrapHandler, model_serializer, model_validator

from dgbench.core.cards import Card
from dgbench.core.formats import Content, Format

Status = Literal["ok", "failed", "diverged", "out of memory"]
"""``diverged``: a loss was no longer a finite number. ``failed``: anything else that ended it, but a lack of memory."""
UNFINISHED: tuple[Status, ...] = ("failed", "diverged", "out of memory")

LONGEST = 2000
"""Characters of a cause."""


class Measurement(Card):
    """What was measured on one stream of examples, with the weights of one checkpoint.

    Attributes:
        step: The checkpoint.
        split: ``validation`` (held-out examples of the source domains) or ``target``.
        domain: Of the dataset.
        view: ``clean``, or the shift family that the examples went through.
        accuracy: In [0, 1]; where values are predicted minus the root-mean-square error, so that more is better.
        nll: Negative log-likelihood in nats, 0 but for rounding or more; none where only classes are known, or values.
        headline: By the measure that the board judges the dataset by, in [0, 1], where that is not accuracy.
            Submissions say it; of runs in the store it is computed from predictions, by each board that asks.
        n: How many examples there are.
        digest: A hash of the predictions.
    """

    step: int = Field(ge=0, le=100_000_000)
    split: Literal["validation", "target"]
    domain: str = Field(min_length=1, max_length=200)
    view: str = Field(min_length=1, max_length=100)
    accuracy: Annotated[FiniteFloat, Field(le=1)]
    nll: Annotated[FiniteFloat, Field(ge=-1e-4)] | None
    headline: float | None = Field(default=None, ge=0, le=1)
    n: int = Field(ge=1, le=1_000_000_000)
    digest: str = Field(pattern=r"^[0-9a-f]{16}$")

    @model_serializer(mode="wrap")
    def _no_empty_headline(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        return {name: value for name, value in content.items() if name != "headline" or value is not None}


class Result(Card):
    """How a run ended.

    Attributes:
        status: ``ok``, or what ended it.
        cause: What was said when it ended early.
        last_step: The last step that was predicted with; where it is not ok, the last that is kept. None where that is
            not known.
        metrics: What was measured; nothing where the run is not ok.
    """

    status: Status
    cause: str = Field(default="", max_length=LONGEST)
    last_step: int | None = Field(default=None, ge=0, le=100_000_000)
    metrics: tuple[Measurement, ...] = Field(default=(), max_length=1_000_000)

    @classmethod
    def measured(cls, metrics: Iterable[Mapping[str, Any]]) -> Result:
        """That of a run which came to its end, by what was measured of it."""
        rows = tuple(Measurement.model_validate(row) for row in metrics)
        return cls(status="ok", last_step=max((row.step for row in rows), default=None), metrics=rows)

    @model_validator(mode="after")
    def _whole(self) -> Result:
        if (self.status == "ok") != (self.cause == ""):
            raise ValueError("a run that is ok has no 'cause', and every other has one")
        if self.status != "ok" and self.metrics:
            raise ValueError("a run that is not ok has no 'metrics'")
        return self


def _with_status(old: Content) -> Content:
    """Before there was a number, only what was ok was written."""
    steps = [row["step"] for row in old["metrics"]]
    return {"status": "ok", "cause": "", "last_step": max(steps, default=None), "metrics": old["metrics"]}


def _without_headline(old: Content) -> Content:
    """Before there was one, all boards judged by accuracy."""
    return old


RESULT = Format("dgbench.result", Result, (_with_status, _without_headline), oldest=0, unmarked=True)
"""``result.json`` of a run in the store."""
