"""Numbers as readers see them: shares as per cent, differences in points, intervals, ranks."""

from __future__ import annotations

from dgbench.board.leaderboard import Entry
from dgbench.selection.statistics import Estimate


def percent(share: float) -> str:
    """A share as per cent: ``74.1``."""
    return f"{100 * share:.1f}"


def signed(share: float) -> str:
    """A difference of shares in points, with its sign: ``+1.2``, ``−0.4``."""
    return f"{100 * share:+.1f}".replace("-", "−")


def margin(estimate: Estimate) -> str:
    """Half of the interval, ``±0.9``; both ends where it is cut, ``(91.2 to 100.0)``; nothing where there is none."""
    if estimate.margin is None or estimate.interval is None:
        return ""
    if estimate.even:
        return f"±{100 * estimate.margin:.1f}"
    return "({} to {})".format(*map(percent, estimate.interval)).replace("-", "−")


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
