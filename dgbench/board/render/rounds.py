"""What is said after a round of trials: what is open near the top, and why it goes on or stops."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from dgbench.board.until import Round, Stop, Top
from dgbench.core.amounts import duration

_STOPS: dict[Stop, str] = {
    "settled": "one algorithm is left whom nobody is shown to beat: with 95 % confidence it is the best",
    "equal": "no open pair would be separated by the most trials that the rules allow, even if it differed by as much "
    "as its interval has room for",
    "most": "all that are open have the most trials that the rules allow",
    "budget": "the next round does not fit into what is left of the budget",
    "failed": "trainings failed; the same command does them again and goes on",
}


def lines(done: Round) -> Iterator[str]:
    """What is known after a round, a line for each track, and what follows."""
    yield f"looked at after {spelled(done.look.trials)} trials"
    for top in done.look.tops:
        yield f"  {_top(top)}"
    told = f"about {duration(done.seconds)}"
    if done.left is not None:
        told += f", {duration(max(done.left, 0.0))} of the budget are left"
    if done.stop is None:
        yield f"goes on with {_more(done.look.more)}: {told}"
    else:
        yield f"stops: {_STOPS[done.stop]}" + (f" ({_more(done.look.more)}: {told})" if done.stop == "budget" else "")


def spelled(trials: Mapping[str, int]) -> str:
    """How many trials algorithms have: ``5``, or ``5 to 12``."""
    fewest, most = min(trials.values()), max(trials.values())
    return str(fewest) if fewest == most else f"{fewest} to {most}"


def as_data(done: Round) -> dict[str, Any]:
    """A round as plain data."""
    return dataclasses.asdict(done)


def _top(top: Top) -> str:
    if not top.leaders:
        return f"{top.track}: no algorithm is complete"
    if top.settled:
        return f"{top.track}: {top.leaders[0]} leads, and {top.behind} are behind"
    names = f"{', '.join(top.leaders[:-1])} and {top.leaders[-1]}"
    return (
        f"{top.track}: each of {names} may be the best, {top.behind} are behind; {top.open} pairs are open, "
        f"{top.within_reach} of them within reach"
    )


def _more(more: Mapping[str, int]) -> str:
    """Who gets trials: ``8 trials of erm, sam``."""
    by_goal: dict[int, list[str]] = {}
    for name, goal in more.items():
        by_goal.setdefault(goal, []).append(name)
    return "; ".join(f"{goal} trials of {', '.join(names)}" for goal, names in sorted(by_goal.items()))
