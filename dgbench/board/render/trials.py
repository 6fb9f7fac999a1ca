"""How many trials algorithms have, and that a board was looked at several times, in words."""

from __future__ import annotations

from collections.abc import Sequence

from dgbench.board.leaderboard import Leaderboard
from dgbench.selection.statistics import LEVEL

LOOKS = (
    "The rules let trials grow: the board is looked at after {all} trials, and was after {done}. After each look those "
    "that were open near the top may have had more: algorithms have {each}. A pair is tested on the trials that both "
    "have, at each look with a share of the {error}, so ranks hold together over all looks. Means over other trials "
    "are over other splits; differences are over the same ones."
)


def looks(board: Leaderboard) -> list[str]:
    """That the board was looked at several times, and who has how many trials; nothing where trials do not grow."""
    if not board.info.looks:
        return []
    has: dict[int, list[str]] = {}
    for entry in board.entries:
        has.setdefault(entry.trials, []).append(entry.title)
    most = max(has, default=0)
    done = [look for look in board.info.looks if look <= most] or [most]
    each = "; ".join(f"{count} ({', '.join(names)})" for count, names in sorted(has.items(), reverse=True))
    each = each if len(has) > 1 else f"{most} each"
    return [
        LOOKS.format(done=_listed(done), all=_listed(board.info.looks), each=each, error=f"{100 * (1 - LEVEL):.0f} %")
    ]


def grown(board: Leaderboard) -> bool:
    """Whether some algorithms have more trials than others, as the rules let them."""
    return bool(board.info.looks) and len({entry.trials for entry in board.entries}) > 1


def trials(board: Leaderboard) -> str:
    """How many trials algorithms have: ``3``, or ``5 to 12`` where some have more."""
    has = {entry.trials for entry in board.entries} if board.info.looks else {board.info.trials}
    return f"{min(has)} to {max(has)}" if len(has) > 1 else str(*has)


def _listed(numbers: Sequence[int]) -> str:
    return " and ".join(filter(None, (", ".join(map(str, numbers[:-1])), str(numbers[-1]))))
