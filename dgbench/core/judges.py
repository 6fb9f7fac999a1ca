"""Criteria whose candidates are judged by work beside the runs that are ranked, by name.

A board has that work only where it asks for such a criterion. What it is is in ``dgbench.runs.judges``, what comes of
it in ``dgbench.selection.criteria``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Judges = Literal["folds", "domains", "weights"]
KINDS: tuple[Judges, ...] = get_args(Judges)
"""``folds``: for each fold of the shift families a training without these. ``domains``: for each source domain one
without. ``weights``: a run of the candidate's own training that looks at its weights."""

JUDGES: Mapping[str, Judges] = {
    "kfold": "folds",
    "lodo": "domains",
    "lodo_last": "domains",
    "flatness": "weights",
    "risk_discrepancy": "weights",
}
"""By the name of a criterion."""

BY: Mapping[Judges, str] = {
    "folds": "trainings of its own",
    "domains": "trainings of its own",
    "weights": "weights, in runs of its own",
}
"""What such a criterion judges by, in words."""


def asked_for(criterion: str | None) -> str | None:
    """The criterion if it has judges: whoever selects by it asks for them."""
    return criterion if criterion in JUDGES else None
