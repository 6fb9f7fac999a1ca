"""Criteria whose candidates are judged by trainings beside those that are ranked, by name.

A board has these only where it asks for one. What they learn from is in ``dgbench.runs.judges``, what comes of them in
``dgbench.selection.criteria``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Judges = Literal["folds", "domains"]
KINDS: tuple[Judges, ...] = get_args(Judges)
"""``folds``: for each fold of the shift families one without these. ``domains``: for each source domain one without."""

JUDGES: Mapping[str, Judges] = {"kfold": "folds", "lodo": "domains", "lodo_last": "domains"}
"""By the name of a criterion."""


def asked_for(criterion: str | None) -> str | None:
    """The criterion if it has judges: whoever selects by it asks for them."""
    return criterion if criterion in JUDGES else None
