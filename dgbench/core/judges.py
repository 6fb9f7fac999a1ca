"""Criteria that need trainings beside those that are ranked, by name: a board has them only where it asks for one.

What they learn from is in ``dgbench.runs.judges``, what comes of them in ``dgbench.selection.criteria``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Auxiliary = Literal["folds", "domains"]
KINDS: tuple[Auxiliary, ...] = get_args(Auxiliary)
"""``folds``: for each fold of the shift families one without these. ``domains``: for each source domain one without."""

AUXILIARY: Mapping[str, Auxiliary] = {"kfold": "folds", "lodo": "domains", "lodo_last": "domains"}
"""By the name of a criterion."""


def asked_for(criterion: str | None) -> str | None:
    """The criterion if it has trainings of its own: whoever selects by it asks for them."""
    return criterion if criterion in AUXILIARY else None
