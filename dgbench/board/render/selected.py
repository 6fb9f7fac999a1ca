"""What a criterion chose on a board, in words for a table and as plain data.

A table has a row for each model that any criterion chooses in a cell: the asked criterion's first, then those that
others would have chosen instead. What was reached on targets stands last, marked: nobody knows it when choosing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from dgbench.board.render import text
from dgbench.board.render.figures import Figures
from dgbench.board.selected import Selection
from dgbench.selection.criteria import CRITERIA
from dgbench.selection.records import CELL

SHORT = 8
"""Characters that a table gives of the name of a run."""
HEADER = (
    "Target", "Trial", "Draw", "Step", "Run", "Chosen by", "Score", "Next best", "Margin", "Of", "Accuracy*", "Regret*",
)  # fmt: skip
BRIEF = tuple(name for name in HEADER if name not in ("Run", "Next best", "Of"))
LABELLED = ("Accuracy*", "Regret*")
"""Columns that use target labels."""
TARGETS = "* With target labels: what nobody knows when choosing."
READING = (
    "A row is a model; the first of each target and trial is the one that was chosen, those below it are what other "
    "criteria would have chosen instead, with the score that the asked criterion gives them. Margin: how far the next "
    "best is behind, and how far such a row is behind the first. Of: how many candidates there are, draws times "
    "checkpoints. Among equal scores the earliest step wins, then the lowest draw. A run is named by how its id begins."
)
UNLABELLED = "° Looks at images of the target, without labels: more than a board's criterion may see."
REACHED = (
    f"{TARGETS} Accuracy: on the target, in per cent. Regret: points below the best candidate of that target and trial."
)

_CHOICE = ("draw", "step", "run", "score", "same", "own_score", "behind")
_Row = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One model in a table.

    Attributes:
        cells: What stands under :data:`HEADER`.
        chosen: Whether it is what the asked criterion chose.
    """

    cells: tuple[str, ...]
    chosen: bool


def tables(selection: Selection) -> Iterator[tuple[str, list[Row]]]:
    """A table for each algorithm: its title, and its rows."""
    others = _by_cell(selection)
    for algorithm, cells in groupby(selection.cells.iter_rows(named=True), key=lambda cell: cell["algorithm"]):
        own = list(cells)
        submitted = selection.submitted.get(algorithm)
        title = own[0]["title"] + (f" ({submitted})" if submitted else "")
        yield title, [row for cell in own for row in _rows(selection, cell, others.get(_place(cell), []))]


def _rows(selection: Selection, cell: _Row, others: list[_Row]) -> Iterator[Row]:
    by, show = _mark(selection.criterion.name) + _agreeing(others), Figures(selection.headline, selection.unit)
    alone = cell["next_score"] is None
    margin = "–" if alone else f"tie of {1 + cell['tied']}" if cell["tied"] else _signed(cell["margin"])
    why = [_score(cell["score"]), "–" if alone else _score(cell["next_score"]), margin, str(cell["candidates"])]
    place = (cell["target"], str(cell["trial"]))
    yield Row((*place, *_model(cell), by, *why, *_reached(cell, show)), chosen=True)
    apart: dict[tuple[int, int], list[_Row]] = {}
    for one in others:
        if not one["same"]:
            apart.setdefault((one["draw"], one["step"]), []).append(one)
    for choices in apart.values():
        first, names = choices[0], ", ".join(_mark(one["criterion"]) for one in choices)
        known = first["own_score"] is not None
        behind = "–" if not known else _signed(-first["behind"]) if first["behind"] else "tie"
        why = [_score(first["own_score"]) if known else "–", "", behind, ""]
        yield Row(("", "", *_model(first), names, *why, *_reached(first, show)), chosen=False)


def _agreeing(others: list[_Row]) -> str:
    """Who else chooses the same, in few words; each name is preceded by a comma."""
    agree, differ = ([_mark(one["criterion"]) for one in others if one["same"] == same] for same in (True, False))
    if len(differ) >= len(agree):
        return "".join(f", {name}" for name in agree)
    return ", all others" + (f" but {', '.join(differ)}" if differ else "")


def agreement(selection: Selection) -> str:
    """In how many cells each other criterion chooses the same model."""
    counts = []
    for name in CRITERIA:
        own = selection.others.filter(criterion=name)
        if own.height:
            among = "" if own.height == selection.cells.height else f" (of {own.height})"
            counts.append(f"{_mark(name)} in {own['same'].sum()}{among}")
    return f"Of {selection.cells.height} models these criteria choose the same: {', '.join(counts)}."


def warnings(selection: Selection) -> list[str]:
    """What a reader must know before believing the choices: who chose blindly, what is missing, what failed."""
    lines = text.stands_for(selection.headline)
    if selection.criterion.uses_target:
        lines.append(f"{selection.criterion.title} reads target labels: it is for looking, and never ranks.")
    if selection.criterion.uses_unlabelled_target:
        lines.append(f"{selection.criterion.title} looks at images of the target: it never ranks.")
    if selection.missing:
        lines.append(f"Runs that are not finished: {selection.missing}. What is shown was chosen among what there is.")
    lines += text.failures(selection.failed)
    lines += [
        f"{name} on {target}, trial {trial}: every score is not a number, so nothing is chosen."
        for name, target, trial in selection.without
    ]
    return [*lines, *_refused(selection)]


def _refused(selection: Selection) -> Iterator[str]:
    """Criteria that choose nothing of some algorithm: each once, those of one reason together."""
    first: dict[str, str] = {}
    for (criterion, _), why in selection.refusals.items():
        first.setdefault(criterion, why)
    alike: dict[str, list[str]] = {}
    for criterion, why in first.items():
        alike.setdefault(why.partition("' ")[2] or why, []).append(criterion)
    for why, criteria in alike.items():
        algorithms = {algorithm for criterion, algorithm in selection.refusals if criterion in criteria}
        others = f" So for {len(algorithms) - 1} more algorithms." if len(algorithms) > 1 else ""
        yield f"{', '.join(map(_mark, criteria))}: {why}.{others}"


def as_data(selection: Selection) -> dict[str, Any]:
    """A selection for programs; accuracies and regrets are shares in [0, 1], below ``with_target_labels``.

    Where values are predicted, they are of the headline, which is named then, in its unit. Scores stay what the
    criterion gives: of an error minus it, so that more is better.
    """
    others, show = _by_cell(selection), Figures(selection.headline, selection.unit)
    cells = [
        _cell(cell, [_turned(one, show) for one in others.get(_place(cell), [])])
        for cell in (_turned(cell, show) for cell in selection.cells.iter_rows(named=True))
    ]
    return {
        "board": selection.board,
        **show.named,
        "criterion": selection.criterion.name,
        "uses_target": selection.criterion.uses_target,
        "cells": cells,
        "refusals": [
            {"criterion": criterion, "algorithm": algorithm, "reason": why}
            for (criterion, algorithm), why in selection.refusals.items()
        ],
        "without_choice": [dict(zip(CELL, place, strict=True)) for place in selection.without],
        "missing": selection.missing,
        "failed": [asdict(one) for one in selection.failed],
        "submitted": dict(selection.submitted),
    }


def _cell(cell: _Row, others: list[_Row]) -> dict[str, Any]:
    labelled = ("accuracy", "ceiling", "regret")
    return {
        **{name: value for name, value in cell.items() if name not in labelled},
        "others": {one["criterion"]: _only(one, *_CHOICE) for one in others},
        "with_target_labels": {
            **_only(cell, *labelled),
            "others": {one["criterion"]: _only(one, "accuracy", "regret") for one in others},
        },
    }


def _turned(row: _Row, show: Figures) -> _Row:
    """What was reached as the headline itself: of an error not minus it."""
    return {k: show.measure.turn * v + 0.0 if k in ("accuracy", "ceiling") else v for k, v in row.items()}


def _only(row: _Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _by_cell(selection: Selection) -> dict[tuple[Any, ...], list[_Row]]:
    found: dict[tuple[Any, ...], list[_Row]] = {}
    for one in selection.others.iter_rows(named=True):
        found.setdefault(_place(one), []).append(one)
    return found


def _place(row: _Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in CELL)


def _model(row: _Row) -> tuple[str, str, str]:
    return str(row["draw"]), str(row["step"]), row["run"][:SHORT]


def _reached(row: _Row, show: Figures) -> tuple[str, str]:
    return show.number(row["accuracy"]), show.lost(row["regret"])


def _mark(criterion: str) -> str:
    known = CRITERIA[criterion]
    return f"{criterion}{'*' if known.uses_target else '°' if known.uses_unlabelled_target else ''}"


def _score(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")
