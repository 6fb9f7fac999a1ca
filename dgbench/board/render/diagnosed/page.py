"""A diagnosis as one HTML file that needs no network: plots, tables, and near-duplicates side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dgbench.board.pictures import pictured
from dgbench.board.render.axes import Scale
from dgbench.board.render.diagnosed import words
from dgbench.board.render.frame import ALONE
from dgbench.board.render.html import data_uri, environment
from dgbench.board.render.scatter import Axis, Mark, Plot, plotted
from dgbench.core.files import whole
from dgbench.diagnostics.diagnosis import Between, Diagnosis

_PICTURES = 6
"""Near-duplicates of a pair that are drawn."""

Pictures = Mapping[tuple[str, int], bytes]
"""A PNG by domain and row."""


def write(found: Diagnosis, path: Path) -> None:
    """Write the page: whole, or not at all.

    Raises:
        DiskError: it cannot be written.
    """
    wanted = [place for two in found.pairs for places in _near(two) for place in places]
    pictures = pictured(found.dataset, wanted)
    with whole(path) as temporary:
        temporary.write_text(render(found, pictures), encoding="utf-8")


def render(found: Diagnosis, pictures: Pictures) -> str:
    """The page.

    Args:
        found: What is shown.
        pictures: Of near-duplicates.
    """
    near = [
        (words.pair(two), two.near, [[data_uri(pictures[place]) for place in places] for places in _near(two)])
        for two in found.pairs
        if two.near
    ]
    return environment().get_template("diagnosed.html").render(
        frame=ALONE,
        found=found,
        words=words,
        shifts=shifts(found),
        dimensions=_dimensions(found),
        difficulty=_difficulty(found),
        near=near,
    )  # fmt: skip


def summary(found: Diagnosis) -> str:
    """The tables, for notebooks."""
    return environment().get_template("diagnosed_summary.html").render(found=found, words=words)


def shifts(found: Diagnosis) -> Plot | None:
    """Correlation shift against diversity shift, a dot for each pair; None where no pair has any."""
    known = [(two, two.shift) for two in found.pairs if two.shift is not None]
    if not known:
        return None
    marks = [
        Mark(
            words.pair(two),
            words.pair(two),
            shift.diversity,
            shift.correlation,
            f"{words.pair(two)}: diversity {shift.diversity:.2f}, correlation {shift.correlation:.2f}",
        )
        for two, shift in known
    ]
    up = Scale.spanning(0, max(0.1, *(mark.y for mark in marks)))
    return plotted(marks, _axis(Scale(0, 1, 0.2)), _axis(up), ("diversity shift", "correlation shift"))


def _axis(scale: Scale) -> Axis:
    room = 0.04 * (scale.high - scale.low)
    return Axis(scale.low - room, scale.high + room, tuple((tick, f"{tick:g}") for tick in scale.ticks))


def _dimensions(found: Diagnosis) -> Scale:
    """One axis for all dimensions, from 0."""
    both = [
        value
        for one in found.domains
        for of in (one.dimension, one.feature_dimension)
        if of is not None
        for value in (of.maximum_likelihood, of.two_nearest_neighbours)
    ]
    return Scale.spanning(0, max([1.0, *(value for value in both if value is not None)]))


def _difficulty(found: Diagnosis) -> tuple[Scale, Sequence[float]] | None:
    """An axis, and the powers of ten on it; None where they are not known."""
    if found.difficulty is None:
        return None
    bits = [value for value in found.difficulty.bits if value is not None]
    return (Scale.spanning(bits[0] - 1, bits[2] + 1), bits) if len(bits) == 3 else None


def _near(two: Between) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    return [((two.first, one), (two.second, other)) for one, other in two.near_rows[:_PICTURES]]
