"""Criteria: by what number is one of several trained models chosen? Higher is better, for each of them.

A criterion is a name, an explanation, what it needs, and a choice of records: the mean over domains of the mean over
views is taken of those. Unless it needs target labels, the rows of the target domain are taken away before its filter
runs: it cannot read them, even by mistake. Families of criteria have a file each.

A criterion may need trainings or runs of its own (``dgbench.core.judges``), which judge candidates and are never
ranked. What they measured stands in the records under a split of its own, in the name of the candidate: to a criterion
it is a choice of records like any other. What they found of weights stands among indicators.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from dgbench.core.errors import RecipeError, UnknownNameError
from dgbench.selection.criteria.augmented import (
    AUGMENTED,
    AUGMENTED_ALL,
    AUGMENTED_LOGIT,
    AUGMENTED_NO_EDGES,
    AUGMENTED_WORST,
    KFOLD,
)
from dgbench.selection.criteria.criterion import NEEDS, Criterion, Need
from dgbench.selection.criteria.labelled import CEILING, ORACLE
from dgbench.selection.criteria.left_out import LODO, LODO_LAST
from dgbench.selection.criteria.scores import Candidates, best, choose, ordered, scores
from dgbench.selection.criteria.source import CALIBRATION, SOURCE, SOURCE_NLL, SOURCE_WORST
from dgbench.selection.criteria.unlabelled import AGREEMENT, ATC, CONFIDENCE, DOC, NUCLEAR_NORM
from dgbench.selection.criteria.weights import FLATNESS, RISK_DISCREPANCY
from dgbench.selection.measure import Measure
from dgbench.selection.measures import RULE

__all__ = [
    "CRITERIA",
    "FROM_RECORDS",
    "NEEDS",
    "Candidates",
    "Criterion",
    "Need",
    "at_hand",
    "best",
    "choose",
    "get",
    "ordered",
    "ranking",
    "refuse_misfit",
    "scores",
]

CRITERIA = {
    criterion.name: criterion
    for criterion in (
        SOURCE,
        SOURCE_NLL,
        AUGMENTED,
        AUGMENTED_ALL,
        SOURCE_WORST,
        AUGMENTED_WORST,
        AUGMENTED_LOGIT,
        AUGMENTED_NO_EDGES,
        KFOLD,
        LODO,
        LODO_LAST,
        FLATNESS,
        RISK_DISCREPANCY,
        CALIBRATION,
        CONFIDENCE,
        ATC,
        DOC,
        AGREEMENT,
        NUCLEAR_NORM,
        CEILING,
        ORACLE,
    )
}

FROM_RECORDS = tuple(
    name for name, criterion in CRITERIA.items() if criterion.indicator is None and criterion.judges is None
)
"""Those that need neither single predictions nor judges of their own: what they choose is known as soon as runs are
done."""


def at_hand(metrics: pl.DataFrame, headline: Measure = RULE) -> tuple[Criterion, ...]:
    """All criteria of what is predicted, but for those whose judges nobody asked for: records have nothing of them.

    Args:
        metrics: The records.
        headline: By what their board ranks.
    """
    return among(set(metrics["split"].unique()), headline)


def among(splits: Collection[str], headline: Measure = RULE) -> tuple[Criterion, ...]:
    """As :func:`at_hand`, of records that have these splits."""
    fitting = (one for one in CRITERIA.values() if headline.of == "classes" or not one.classes)
    return tuple(one for one in fitting if one.judges is None or one.judges in splits)


def get(name: str) -> Criterion:
    """The criterion of that name; raises UnknownNameError when there is none."""
    if name not in CRITERIA:
        raise UnknownNameError("criterion", name, CRITERIA)
    return CRITERIA[name]


def refuse_misfit(criterion: Criterion, headline: Measure, board: str) -> None:
    """Refuse a criterion about classes on a board where values are predicted.

    Args:
        criterion: Which.
        headline: By what the board ranks.
        board: Its name.

    Raises:
        RecipeError: it is one.
    """
    if criterion.classes and headline.of == "values":
        others = ", ".join(name for name, one in CRITERIA.items() if one.ranks and not one.classes)
        raise RecipeError(
            f"'{board}' predicts values, and '{criterion.name}' is about classes and their probabilities; choose one "
            f"of {others}"
        )


def ranking(name: str, board: str) -> Criterion:
    """The criterion of that name, if it may rank.

    Raises:
        UnknownNameError: there is no such criterion.
        RecipeError: it sees something of the target.
    """
    criterion = get(name)
    if not criterion.ranks:
        seen = "reads target labels" if criterion.uses_target else "looks at images of the target"
        honest = ", ".join(other for other, c in CRITERIA.items() if c.ranks)
        raise RecipeError(f"'{board}' would select by '{name}', which {seen} and may not rank; choose one of {honest}")
    return criterion
