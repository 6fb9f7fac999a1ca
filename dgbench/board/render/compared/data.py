"""A comparison as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any

from dgbench.board.compare import Against, Comparison
from dgbench.board.flips import most_flipped
from dgbench.board.leaderboard import Entry
from dgbench.board.render.figures import Figures, own
from dgbench.selection.measure import Measure
from dgbench.selection.statistics import Estimate

_IMAGES = 100
"""Of each direction."""


def as_data(comparison: Comparison) -> dict[str, Any]:
    """A comparison for programs; accuracies are shares in [0, 1], differences those of the second minus the first.

    Where values are predicted, accuracies are the headline, which is named then, in its unit.
    """
    info = comparison.board.info
    shared = min(entry.trials for entry in comparison.board.entries) if info.looks else info.trials
    return {
        "board": info.name,
        "rules": info.rules,
        **Figures.of(info).named,
        "criterion": comparison.board.criterion.name,
        "trials": shared,
        "first": {
            **_entry(comparison.first, info.headline),
            "track": comparison.track,
            "trainings": comparison.trainings,
        },
        "steps": comparison.steps,
        "comparisons": len(comparison.against),
        "against": [_against(one, info.headline) for one in comparison.against],
    }


def _entry(entry: Entry, headline: Measure) -> dict[str, Any]:
    return {
        "algorithm": entry.algorithm,
        "title": entry.title,
        "level": entry.level,
        "accuracy": _estimate(own(entry.accuracy, headline)),
        "cost": dataclasses.asdict(entry.cost),
    }


def _against(one: Against, headline: Measure) -> dict[str, Any]:
    lost, won = most_flipped(one.images, _IMAGES)
    return {
        **_entry(one.entry, headline),
        "track": one.track,
        "trainings": one.trainings,
        "trainings_shared": one.shared,
        "same_predictions": one.same,
        "difference": _estimate(own(one.lead.total, headline)),
        "p_corrected": one.p,
        "better": one.better,
        "cells": dataclasses.asdict(one.score),
        "targets": {
            target: {"difference": _estimate(own(lead, headline)), "cells": dataclasses.asdict(one.scores[target])}
            for target, lead in one.lead.targets.items()
        },
        "flips": [{**dataclasses.asdict(flip), "p": flip.p} for flip in one.flips],
        "images_only_first": lost.to_dicts(),
        "images_only_second": won.to_dicts(),
    }


def _estimate(value: Estimate) -> dict[str, float | int | None]:
    return {"mean": value.mean, "low": value.low, "high": value.high, "n": value.n, "p": value.p}
