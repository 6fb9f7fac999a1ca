"""Every candidate of a track: a criterion's score against the accuracy on the target, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from dgbench.board.leaderboard import Track
from dgbench.board.render.axes import Scale
from dgbench.selection.criteria import Criterion

COLOURS, SHAPES = 8, 3
"""What a dot can look like: every colour in every shape."""
PANEL = 100
"""Side of a plot, in the units of its view box."""
_PATHS = 1_200
"""Above so many paths a panel has one for each target, and its dots do not say whose they are."""


def panels(track: Track, domains: tuple[str, ...]) -> list[dict[str, Any]]:
    """One panel for each criterion of a track: :func:`drawn`."""
    titles = {entry.algorithm: entry.title for entry in track.entries}
    return drawn([(quality.criterion, quality.points) for quality in track.qualities], domains, titles)


def drawn(
    scored: Sequence[tuple[Criterion, pl.DataFrame]], domains: tuple[str, ...], titles: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One panel for each criterion: score against accuracy on the target, a dot for each candidate.

    All panels share the vertical axis. Dots are zero-length strokes of one path for each domain and algorithm, and dots
    that fall on the same spot are drawn once, so a board with thousands of candidates stays a small file.

    Args:
        scored: Criteria, each with its points: ``algorithm, target, score, accuracy``.
        domains: The targets, in the order of their looks.
        titles: Of the algorithms, by name.
    """
    accuracies = pl.concat([points["accuracy"] for _, points in scored])
    vertical = Scale.spanning(_least(accuracies), _most(accuracies))
    return [_panel(criterion, points, vertical, domains, titles) for criterion, points in scored]


def look(number: int) -> str:
    """Classes of the dots of one of many targets: colours first, then other shapes."""
    return f"c{number % COLOURS} s{number // COLOURS % SHAPES}"


def mark(number: int, x: float = 5, y: float = 5, reach: float = 1.1) -> str:
    """A dot of a target at a place, as a path: a point whose ends are round or square, or a cross."""
    if number // COLOURS % SHAPES < SHAPES - 1:
        return f"M{x:g} {y:g}h0"
    return f"M{x - reach:.4g} {y:g}h{2 * reach:g}M{x:g} {y - reach:.4g}v{2 * reach:g}"


def _panel(
    criterion: Criterion, points: pl.DataFrame, vertical: Scale, domains: tuple[str, ...], titles: Mapping[str, str]
) -> dict[str, Any]:
    points = points.filter(pl.col("score").is_finite())
    horizontal = Scale.spanning(_least(points["score"]), _most(points["score"])) if points.height else vertical
    named = len(titles) * len(domains) <= _PATHS
    digits = 1 if named else 0
    found: dict[tuple[str, str], set[tuple[float, float]]] = {}
    for target, algorithm, x, y in points.select("target", "algorithm", "score", "accuracy").iter_rows():
        dot = round(horizontal(x), digits), round(PANEL - vertical(y), digits)
        found.setdefault((target, algorithm if named else ""), set()).add(dot)
    paths = []
    for (target, algorithm), dots in found.items():
        number = domains.index(target)
        paths.append(
            {
                "number": number,
                "d": "".join(mark(number, x, y) for x, y in sorted(dots)),
                "algorithm": algorithm,
                "title": f"{titles.get(algorithm, algorithm)} on {target}" if algorithm else target,
            }
        )
    return {"criterion": criterion, "horizontal": horizontal, "vertical": vertical, "paths": paths}


def _least(values: pl.Series) -> float:
    return float(min(values.to_list()))


def _most(values: pl.Series) -> float:
    return float(max(values.to_list()))
