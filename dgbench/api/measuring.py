"""The public functions that look at boards by other numbers than accuracy.

    ranking = dgbench.ranking("quick", "ece")
    print([(place.entry.title, place.rank, place.value.mean) for place in ranking.tracks["inductive"]])

Boards and the store are given as for :mod:`dgbench.api.boards`. Accuracy is the rule of every board; the rest is
for looking.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dgbench.api.boards import Board, familiar_to, leaderboard, on_target, rules
from dgbench.runs.store import Store

if TYPE_CHECKING:
    import polars as pl

    from dgbench.board.leaderboard import Leaderboard
    from dgbench.board.rankings import Ranking, Rankings
    from dgbench.selection.familiar import Familiar


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
        metric: ``macro``, ``macro_f1``, ``worst_class``, ``worst_group``, ``adjusted``, ``familiar``, ``unfamiliar``,
            ``nll``, ``ece``, or ``accuracy``, which is the rule.
        board, criterion, store, submissions: As for :func:`leaderboard`.

    Raises:
        UnknownNameError: there is no such metric.
        StoreError: nothing is there, or the metric is known of no algorithm; the message says why.
        RecipeError: as for :func:`leaderboard`.
    """
    from dgbench.board.rankings import ranking
    from dgbench.selection.measures import COMPUTED, get

    measure = get(metric)
    made = leaderboard(board, criterion=criterion, store=store, submissions=submissions)
    if measure.name not in COMPUTED:
        return ranking(made, measure)
    known = familiar_to(board)
    return ranking(made, measure, _measured(board, made, known, store, submissions), known.said)


def rankings(
    board: Board, made: Leaderboard, *, store: Path | None = None, submissions: Path | None = None
) -> Rankings:
    """A board by every metric but accuracy.

    Args:
        board, store, submissions: As for :func:`leaderboard`.
        made: What :func:`leaderboard` made of them.
    """
    from dgbench.board.rankings import rankings

    known = familiar_to(board)
    return rankings(made, _measured(board, made, known, store, submissions), known.said)


def _measured(
    board: Board, made: Leaderboard, known: Familiar, store: Path | None, submissions: Path | None
) -> pl.DataFrame:
    """The chosen models by all that is computed from predictions: those in the store, and those that were submitted."""
    import polars as pl

    from dgbench.runs.measured import measured
    from dgbench.selection import measures

    submitted = pl.col("algorithm").is_in(list(made.info.submitted))
    own = measured(rules(board), Store.at(store), made.cells.filter(~submitted), known)
    if not made.info.submitted:
        return own
    read = on_target(board, made.info.submitted, store=store, submissions=submissions)
    return pl.concat([own, measures.measured(made.cells.filter(submitted), read, known)])
