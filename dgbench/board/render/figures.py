"""Numbers as readers see them: shares as per cent, differences in points, errors in their unit, intervals, ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

from dgbench.board.leaderboard import BoardInfo, Entry
from dgbench.selection.measure import Measure
from dgbench.selection.measures import RULE
from dgbench.selection.statistics import Estimate


def percent(share: float) -> str:
    """A share as per cent: ``74.1``."""
    return f"{100 * share:.1f}"


def signed(share: float) -> str:
    """A difference of shares in points, with its sign: ``+1.2``, ``−0.4``."""
    return f"{100 * share:+.1f}".replace("-", "−")


def margin(estimate: Estimate) -> str:
    """Half of the interval, ``±0.9``; both ends where it is cut, ``(91.2 to 100.0)``; nothing where there is none."""
    return SHARES.margin(estimate)


@dataclass(frozen=True)
class Figures:
    """The numbers of a board as readers see them, in the unit of its headline.

    Records hold minus an error, so that more is better; readers see the error, and a difference of errors.

    Attributes:
        measure: The headline.
        unit: Of the values that are predicted, if they have one.
    """

    measure: Measure = RULE
    unit: str = ""

    @classmethod
    def of(cls, info: BoardInfo) -> Figures:
        """Those of a board."""
        return cls(info.headline, info.unit)

    @property
    def shares(self) -> bool:
        """Whether the headline is a share."""
        return self.measure.unit == "%"

    @property
    def named(self) -> dict[str, str]:
        """For programs, of what numbers are and in what unit: where values are predicted, as all else are shares."""
        return {"headline": self.measure.name, "unit": self.unit} if self.measure.of == "values" else {}

    @property
    def within(self) -> str:
        """In what it is, as words in a sentence: ``, in per cent``; nothing of a number without a unit."""
        unit = "per cent" if self.shares else self.unit if self.measure.unit == "value" else ""
        return f", in {unit}" if unit else ""

    @property
    def apart(self) -> str:
        """In what differences are: ``, in points``."""
        return ", in points" if self.shares else self.within

    @property
    def sign(self) -> str:
        """What stands after a number in a sentence: `` %``, `` degrees``."""
        unit = "%" if self.shares else self.unit if self.measure.unit == "value" else ""
        return f" {unit}" if unit else ""

    @property
    def points(self) -> str:
        """What stands after a difference in a sentence: `` points``, `` degrees``."""
        return " points" if self.shares else self.sign

    def number(self, value: float) -> str:
        """What records hold, or a mean of it: ``74.1``, of an error ``12.34``."""
        return percent(value) if self.shares else self._plain(self.measure.turn * value)

    def signed(self, difference: float) -> str:
        """A difference of two such values, with its sign."""
        return signed(difference) if self.shares else self._plain(self.measure.turn * difference, sign=True)

    def lost(self, value: float) -> str:
        """By how much something is worse: a regret, a gap. Above 0 is worse whichever way the measure goes."""
        return percent(value) if self.shares else self._plain(value)

    def tick(self, value: float) -> str:
        """A value on an axis."""
        return f"{round(100 * value if self.shares else self.measure.turn * value, 4) + 0:g}".replace("-", "−")

    def change(self, difference: float) -> str:
        """A difference on an axis: ``+0.5``, 0 without a sign."""
        value = 100 * difference if self.shares else self.measure.turn * difference
        return f"{value:+.3g}".replace("-", "−") if difference else "0"

    def margin(self, estimate: Estimate, *, lost: bool = False) -> str:
        """Half of the interval, ``±0.9``; both ends where it is cut; nothing where there is none."""
        if estimate.margin is None or estimate.interval is None:
            return ""
        if estimate.even:
            half = 100 * estimate.margin if self.shares else estimate.margin
            return f"±{half:.{1 if self.shares else self.measure.decimals}f}"
        shown = sorted(estimate.interval, key=lambda end: end if lost else self.measure.turn * end)
        return "({} to {})".format(*map(self.lost if lost else self.number, shown)).replace("-", "−")

    def with_margin(self, estimate: Estimate, *, sign: bool = False) -> str:
        """``74.1 ±0.9``."""
        return f"{(self.signed if sign else self.number)(estimate.mean)} {self.margin(estimate)}".strip()

    def lost_with_margin(self, estimate: Estimate) -> str:
        """The same of what is lost."""
        return f"{self.lost(estimate.mean)} {self.margin(estimate, lost=True)}".strip()

    def _plain(self, value: float, *, sign: bool = False) -> str:
        shown = f"{value + 0.0:{'+' if sign else ''}.{self.measure.decimals}f}"
        return shown.replace("-", "−")


SHARES = Figures()
"""Those of shares."""


@overload
def own(value: Estimate, headline: Measure) -> Estimate: ...
@overload
def own(value: Estimate | None, headline: Measure) -> Estimate | None: ...
def own(value: Estimate | None, headline: Measure) -> Estimate | None:
    """What records hold, or a difference of it, as the headline itself: of an error not minus it."""
    return value if value is None or headline.rises else -value


def rank(entry: Entry) -> str:
    """Both ends of the interval of ranks: ``1–4``, ``2`` where they are one, a dash where there is none."""
    return ranks(entry.rank, entry.rank_worst)


def ranks(best: int | None, worst: int | None) -> str:
    """An interval of ranks: ``1–4``, ``2`` where its ends are one, a dash where there is none."""
    if best is None:
        return "–"
    return f"{best}" if worst == best else f"{best}–{worst}"


def with_margin(estimate: Estimate, *, sign: bool = False) -> str:
    """``74.1 ±0.9``."""
    return f"{(signed if sign else percent)(estimate.mean)} {margin(estimate)}".strip()


def coefficient(estimate: Estimate) -> str:
    """A correlation with its interval: ``0.54 (0.41 to 0.65)``."""
    ends = "" if estimate.interval is None else " ({:.2f} to {:.2f})".format(*estimate.interval)
    return f"{estimate.mean:.2f}{ends}".replace("-", "−")
