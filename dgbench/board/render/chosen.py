"""What was chosen: the parts of every recipe, and the hyperparameters, draws and steps that selection picked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from dgbench.board.leaderboard import Leaderboard
from dgbench.core.registry import SLOTS


@dataclass(frozen=True)
class Chosen:
    """One algorithm's choices, over all cells.

    Attributes:
        parts: Its parts by slot, as they ran.
        steps: The checkpoints that were chosen, and in how many cells.
        draws: The same of the draws of hyperparameters.
        values: For each ``slot.hyperparameter`` its values, and in how many cells.
        cells: How many cells there are.
    """

    parts: Mapping[str, str]
    steps: Mapping[int, int]
    draws: Mapping[int, int]
    values: Mapping[str, Mapping[str, int]]
    cells: int

    def said(self, counts: Mapping[str, int] | Mapping[int, int]) -> str:
        """``100 (11 of 12), 50 (1 of 12)``, or ``100`` where all are one."""
        if len(counts) == 1:
            return str(next(iter(counts)))
        return ", ".join(f"{value} ({count} of {self.cells})" for value, count in counts.items())


def chosen(board: Leaderboard) -> dict[str, Chosen]:
    """What was chosen for each algorithm."""
    return {str(name): _chosen(part) for (name,), part in board.cells.group_by("algorithm", maintain_order=True)}


def _chosen(cells: pl.DataFrame) -> Chosen:
    parts: dict[str, str] = {}
    values: dict[str, Counter[str]] = {}
    for text, count in Counter(cells["hyperparameters"].to_list()).items():
        for slot, settings in json.loads(text).items():
            parts.setdefault(slot, str(settings.get("part", "")))
            for name, value in settings.items():
                if name not in ("part", "version"):
                    values.setdefault(f"{slot}.{name}", Counter())[_shown(value)] += count
    order: dict[str, int] = {slot: number for number, slot in enumerate(SLOTS)}
    named = sorted(values, key=lambda key: order.get(key.partition(".")[0], len(order)))
    return Chosen(
        {slot: parts[slot] for slot in SLOTS if slot in parts},
        _counted(Counter(cells["step"].to_list())),
        _counted(Counter(cells["draw"].to_list())),
        {key: dict(values[key].most_common()) for key in named},
        cells.height,
    )


def _counted(counts: Counter[int]) -> dict[int, int]:
    return dict(counts.most_common())


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False).strip('"')
