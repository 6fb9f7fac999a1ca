"""What was measured: rows of a table of ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Literal

Mode = Literal["parity", "fast"]
"""``parity``: float32, the augmentation exactly the reference's, all that the protocol evaluates. ``fast``: the same in
bfloat16."""


@dataclass(frozen=True)
class Row:
    """One comparison, measured in turns.

    Attributes:
        name: What ``--only`` calls it; several rows may share one.
        what: Is compared.
        mode: Of our side.
        unit: Of both sides.
        ours: A number for each round; less is better.
        against: The other side; empty where there is none.
        theirs: Its numbers, of the same rounds.
        goal: How many times less we aim for; where there is no other side, the number that we aim for.
    """

    name: str
    what: str
    mode: Mode
    unit: str
    ours: Sequence[float]
    against: str = ""
    theirs: Sequence[float] = ()
    goal: float | None = None

    @property
    def ratios(self) -> list[float]:
        """How many times as much the other side takes, round by round."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)] if self.theirs else []

    def spec(self) -> dict[str, object]:
        """As plain JSON."""
        return asdict(self) | {"ratios": self.ratios}


HEAD = "| what | mode | ours | against | theirs | times less | goal |\n| --- | --- | ---: | --- | ---: | ---: | ---: |"


def line(row: Row) -> str:
    """Of a table in Markdown: medians, and in brackets the least and the most."""
    goal = "" if row.goal is None else f"{row.goal:g}" if row.against else f"{row.goal:g} {row.unit}"
    sides = (_spread(row.ours, row.unit), row.against, _spread(row.theirs, row.unit))
    return "| " + " | ".join((row.what, row.mode, *sides, _spread(row.ratios, ""), goal)) + " |"


def _spread(values: Sequence[float], unit: str) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    spread = f" [{_short(low)}, {_short(high)}]" if low < high else ""
    return f"{_short(median(values))} {unit}".rstrip() + spread


def _short(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
