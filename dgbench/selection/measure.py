"""What a measure is: a number by which models are judged on their target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgbench.selection.statistics import SHARE, Range

Unit = Literal["%", "nats", "value", ""]
"""Of a share, of a likelihood, that of the values that are predicted, or none."""


@dataclass(frozen=True)
class Measure:
    """A way to judge models.

    Attributes:
        name: As the command line names it, and the column that holds it.
        title: As readers see it.
        description: In plain words.
        unknown: Why it may be unknown where predictions are there, with room for ``algorithm`` and ``target``.
        unit: Of its numbers.
        rises: Whether more is better.
        within: What values there can be.
        optional: Whether few boards have what it takes, so that nobody misses it where it is not known.
        of: Of which predictions it is.
        decimals: That readers see, where it is no share.
    """

    name: str
    title: str
    description: str
    unknown: str = ""
    unit: Unit = "%"
    rises: bool = True
    within: Range = SHARE
    optional: bool = False
    of: Literal["classes", "values"] = "classes"
    decimals: int = 2

    @property
    def recorded(self) -> Range:
        """What values records can hold of it where it is the headline: minus it where less is better."""
        return self.within if self.rises else Range(-self.within.high, -self.within.low)

    @property
    def turn(self) -> int:
        """What takes the measure to what records hold of it, and back: 1, or -1 where less is better."""
        return 1 if self.rises else -1
