"""The public functions that look at boards by other numbers than accuracy.

    ranking = dgbench.ranking("quick", "ece")
    print([(place.entry.title, place.rank, place.value.mean) for place in ranking.tracks["inductive"]])

Boards and the store are given as for :mod:`dgbench.api.boards`. Accuracy is the rule of every board; the rest is
for looking.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dgbench.api.boards import Board, familiar_to, leaderboard, on_target

if TYPE_CHECKING:
    from dgbench.board.leaderboard import Leaderboard
    from dgbench.board.rankings import Ranking, Rankings


def ranking(
    board: Board,
    metric: str,
    *,
    criterion: str | None = None,
    store: Path | None = None,
    submissions: Path | None = None,
) -> Ranking:
    """A board by another number than accuracy, for looking: the same chosen models, and the same statistics.

    Args:
        metric: ``macro``, ``worst_class``, ``worst_group``, ``familiar``, ``unfamiliar``, ``nll``, ``ece``, or
            ``accuracy``, which is the rule.
        board, criterion, store, submissions: As for :func:`leaderboard`.

    Raises:
        UnknownNameError: there is no such metric.
        StoreError: nothing is there, or the metric is known of no algorithm; the message says why.
        RecipeError: as for :func:`leaderboard`.
    """
    from dgbench.board.rankings import ranking
    from dgbench.selection.measures import COMPUTED, get, measured

    measure = get(metric)
    made = leaderboard(board, criterion=criterion, store=store, submissions=submissions)
    if measure.name not in COMPUTED:
        return ranking(made, measure)
    read = on_target(board, made.info.submitted, store=store, submissions=submissions)
    known = familiar_to(board)
    return ranking(made, measure, measured(made.cells, read, known), known.said)


def rankings(
    board: Board, made: Leaderboard, *, store: Path | None = None, submissions: Path | None = None
) -> Rankings:
    """A board by every metric but accuracy.

    Args:
        board, store, submissions: As for :func:`leaderboard`.
        made: What :func:`leaderboard` made of them.
    """
    from dgbench.board.rankings import rankings
    from dgbench.selection.measures import measured

    read = on_target(board, made.info.submitted, store=store, submissions=submissions)
    known = familiar_to(board)
    return rankings(made, measured(made.cells, read, known), known.said)
