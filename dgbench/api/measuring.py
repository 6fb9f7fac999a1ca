"""The public functions that look at boards by other numbers than their headline, and other statistics than the ranks.

    ranking = dgbench.ranking("quick", "ece")
    print([(place.entry.title, place.rank, place.value.mean) for place in ranking.tracks["inductive"]])
    print(dgbench.statistics("quick").line.slope)

Boards and the store are given as for :mod:`dgbench.api.boards`. A board ranks by its headline, mostly accuracy; the
rest is for looking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgbench.api.boards import Board, beside, leaderboard, rules, submissions_of, with_submitted
from dgbench.core.judges import asked_for
from dgbench.runs.store import Store

if TYPE_CHECKING:
    import polars as pl

    from dgbench.board.explained import Explanation
    from dgbench.board.leaderboard import Leaderboard
    from dgbench.board.rankings import Ranking, Rankings
    from dgbench.board.statistics import Statistics
    from dgbench.literature.statistics import PublishedStatistics
    from dgbench.selection.familiar import Familiar
    from dgbench.selection.measures import OnTarget


def ranking(
    board: Board,
    metric: str,
    *,
    criterion: str | None = None,
    store: Path | str | None = None,
    submissions: Path | None = None,
) -> Ranking:
    """A board by another number than its headline, for looking: the same chosen models, and the same statistics.

    Args:
        metric: ``macro``, ``macro_f1``, ``worst_class``, ``worst_group``, ``adjusted``, ``familiar``, ``unfamiliar``,
            ``auc``, ``nll``, ``ece``, or ``accuracy``; one of them is the rule.
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
    if measure == made.info.headline or measure.name not in COMPUTED:
        return ranking(made, measure)
    known, submitted = familiar_to(board), made.info.submitted
    judged = measured(board, made.cells, submitted, known, store=store, submissions=submissions)
    return ranking(made, measure, judged, known.said)


def statistics(
    board: Board,
    *,
    criterion: str | None = None,
    control: str | None = None,
    store: Path | str | None = None,
    submissions: Path | None = None,
) -> Statistics:
    """Statistics beside the ranks: tests by ranks, what accuracies vary by, and accuracy on the line.

    Args:
        board, criterion, store, submissions: As for :func:`leaderboard`.
        control: What Wilcoxon's test holds the others against, in place of the board's reference.

    Raises:
        UnknownNameError: the control is not on the board.
        StoreError, RecipeError: as for :func:`leaderboard`.
    """
    from dgbench.board.statistics import statistics

    card = rules(board, criterion=asked_for(criterion))
    return statistics(with_submitted(card, store, beside(board, submissions)), criterion, control)


def explain(
    board: Board,
    algorithm: str,
    *,
    targets: Sequence[str] | None = None,
    trials: Sequence[int] | None = None,
    criterion: str | None = None,
    store: Path | str | None = None,
    submissions: Path | None = None,
) -> Explanation:
    """How a number of a board was computed, from the predictions that are stored to its interval and its rank.

    Args:
        algorithm: A recipe such as ``"pego + sam"``, or the name of a submission.
        targets, trials: Of these cells predictions are counted again; of all, where none is named.
        board, criterion, store, submissions: As for :func:`leaderboard`.

    Raises:
        UnknownNameError: the board has no such algorithm, target or trial.
        StoreError, RecipeError: as for :func:`leaderboard`.
    """
    from dgbench.board.explained import explained
    from dgbench.submissions.joined import in_full

    into = beside(board, submissions)
    found = with_submitted(rules(board, criterion=asked_for(criterion)), store, into)
    read = in_full(Store.at(store), found.submitted, into)
    return explained(found, read, algorithm, targets=targets, trials=trials, criterion=criterion)


def published_statistics(source: str, *, control: str | None = None) -> PublishedStatistics:
    """Tests by ranks of the tables of a publication, over its datasets, and what its ways of selection lost.

    Args:
        source: Its name, as :func:`dgbench.published` has it: ``domainbed``.
        control: The method that Wilcoxon's test holds the others against; ERM where it is there.

    Raises:
        UnknownNameError: there is no such publication, or no such method in it.
        DGBenchError: none of its tables has three methods on two datasets.
    """
    from dgbench.literature.statistics import published_statistics

    return published_statistics(source, control)


def rankings(
    board: Board, made: Leaderboard, *, store: Path | str | None = None, submissions: Path | None = None
) -> Rankings:
    """A board by every metric but its headline.

    Args:
        board, store, submissions: As for :func:`leaderboard`.
        made: What :func:`leaderboard` made of them.
    """
    from dgbench.board.rankings import rankings

    known, submitted = familiar_to(board), made.info.submitted
    judged = measured(board, made.cells, submitted, known, store=store, submissions=submissions)
    return rankings(made, judged, known.said)


def on_target(
    board: Board, submitted: Mapping[str, str], *, store: Path | str | None = None, submissions: Path | None = None
) -> OnTarget:
    """What algorithms on a board predicted of its targets, from the store and from submissions.

    Args:
        board, store, submissions: As for :func:`leaderboard`.
        submitted: By algorithm, the id of the submission that it comes from; the others come from the store.
    """
    from dgbench.submissions.joined import on_target

    return on_target(Store.at(store), submitted, beside(board, submissions))


def familiar_to(board: Board) -> Familiar:
    """What pretraining knows well of a board's datasets, by the lists beside its rules: ``familiar/*.toml``.

    Raises:
        CardError, UnknownNameError: a list cannot be read, or names what its dataset does not have.
    """
    from dgbench.core.familiar import familiar_cards
    from dgbench.selection.familiar import familiar

    return familiar(familiar_cards(near.with_name("familiar")) if (near := submissions_of(board)) else ())


def measured(
    board: Board,
    cells: pl.DataFrame,
    submitted: Mapping[str, str],
    known: Familiar,
    *,
    store: Path | str | None = None,
    submissions: Path | None = None,
) -> pl.DataFrame:
    """Models by all that is computed from predictions: those in the store, and those that were submitted.

    Args:
        board, store, submissions: As for :func:`leaderboard`.
        cells: Which models, as :func:`dgbench.selection.measures.measured` takes them.
        submitted: By algorithm, the id of the submission that it comes from; the others come from the store.
        known: What pretraining knows well.
    """
    import polars as pl

    from dgbench.runs.measured import measured
    from dgbench.selection import measures

    others = pl.col("algorithm").is_in(list(submitted))
    own = measured(rules(board), Store.at(store), cells.filter(~others), known)
    if not submitted:
        return own
    read = on_target(board, submitted, store=store, submissions=submissions)
    return pl.concat([own, measures.measured(cells.filter(others), read, known)])
