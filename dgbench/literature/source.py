"""Numbers that others published: a source, its tables and how each came about, and every figure as it is printed.

They are for reading beside a leaderboard, and no part of one. Whatever ranks lies below this package and cannot import
it. A figure comes with all that is known of how it was made, and what is not known is said to be so.

    leaderboards/published/
      NAME.toml     the paper, where the figures were read, and the conditions of each table
      NAME.csv      table,method,algorithm,dataset,target,value,spread: a line for each figure
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, FiniteFloat

from dgbench.core.cards import Card, Name, Paper
from dgbench.core.errors import CardError, did_you_mean, shown
from dgbench.core.paths import shipped
from dgbench.core.toml import read_toml, validated

COLUMNS = ("table", "method", "algorithm", "dataset", "target", "value", "spread")
LARGEST = 4 << 20
"""Bytes of a table of figures. The largest that comes with dgbench has sixty thousand."""
ROUNDING = 0.1
"""What a printed mean may differ from that of printed figures: half a unit of the last place for each of the two."""


class Conditions(Card):
    """How the figures of a table were made.

    Attributes:
        title: The table's number or heading.
        measure: What a figure is, in per cent; of an error less is better.
        protocol: What trained, and what was tested.
        backbone, pretrained_on: What it was built on, and what that had seen before; empty for nothing.
        selection: How models were selected.
        target_labels: Whether that read labels of the target; None where it is not known.
        draws, trials: Sets of hyperparameters and repetitions; None where it is not known.
        spread: What stands behind ± in the table; empty where no such figure was taken over.
    """

    title: str
    measure: Literal["accuracy", "error"] = "accuracy"
    unit: Literal["per cent"] = "per cent"
    protocol: str
    backbone: str
    pretrained_on: str
    selection: str
    target_labels: bool | None = None
    draws: int | None = Field(default=None, ge=1)
    trials: int | None = Field(default=None, ge=1)
    spread: str = ""


class Doubt(Card):
    """Why the figures of a method in a table are to be read with care; the figures stay as they are printed."""

    table: Name
    method: str
    what: str


class Origin(Card):
    """A publication whose figures are known.

    Attributes:
        name, title: Of the source.
        paper: To be cited.
        seen: Where the figures were read.
        notes: What a reader must know of all tables.
        tables: How the figures of each were made, by its name.
        doubts: What does not fit together.
    """

    name: Name
    title: str
    paper: Paper
    seen: str
    notes: tuple[str, ...] = ()
    tables: dict[Name, Conditions] = Field(min_length=1)
    doubts: tuple[Doubt, ...] = ()


class Figure(Card):
    """One printed number.

    Attributes:
        table: Name of its table.
        method: As the publication calls it.
        algorithm: The recipe of dgbench by the same idea, not the same code; empty where there is none.
        dataset: As dgbench calls it; empty for the mean over the table's datasets.
        target: Domain of the dataset; empty for the mean over its domains.
        value: In per cent.
        spread: What stands behind ±, in points; None where nothing does.
    """

    table: Name
    method: str = Field(min_length=1, max_length=100)
    algorithm: str = ""
    dataset: str = ""
    target: str = ""
    value: FiniteFloat = Field(ge=0, le=100)
    spread: FiniteFloat | None = Field(default=None, ge=0, le=100)


class Source(Card):
    """A publication with its figures."""

    origin: Origin
    figures: tuple[Figure, ...]

    def doubts(self, table: str, method: str) -> list[str]:
        """What is doubtful of a row."""
        return [doubt.what for doubt in self.origin.doubts if (doubt.table, doubt.method) == (table, method)]


@cache
def origins() -> tuple[Origin, ...]:
    """All publications that come with dgbench, the oldest first, without their figures."""
    return tuple(sorted((read_toml(path, Origin) for path in _paths()), key=_age))


@cache
def sources() -> tuple[Source, ...]:
    """All publications that come with dgbench, the oldest first, with their figures."""
    return tuple(sorted(map(read_source, _paths()), key=lambda source: _age(source.origin)))


def _age(origin: Origin) -> tuple[int, str]:
    return origin.paper.year, origin.name


def _paths() -> list[Path]:
    return sorted(shipped("leaderboards").glob("published/*.toml"))


def read_source(path: Path) -> Source:
    """A source by the path of its ``.toml``; its figures lie beside it.

    Raises:
        CardError: a file is missing or does not fit.
    """
    origin = read_toml(path, Origin)
    figures, seen = [], set()
    for number, figure in _figures(path.with_suffix(".csv")):
        where = f"{path.with_suffix('.csv')}, line {number}"
        if figure.table not in origin.tables:
            raise CardError(
                f"{where}: table: '{figure.table}' is none of {path.name}.{did_you_mean(figure.table, origin.tables)}"
            )
        if figure.target and not figure.dataset:
            raise CardError(f"{where}: target: is given without a 'dataset'")
        if figure.spread is not None and not origin.tables[figure.table].spread:
            raise CardError(f"{where}: spread: {path.name} does not say what it is; add 'spread' to the table")
        key = (figure.table, figure.method, figure.dataset, figure.target)
        if key in seen:
            raise CardError(f"{where}: the figure of {', '.join(map(shown, key))} is given twice")
        seen.add(key)
        figures.append(figure)
    rows = {(figure.table, figure.method) for figure in figures}
    for doubt in origin.doubts:
        if (doubt.table, doubt.method) not in rows:
            raise CardError(f"{path}: doubts: there is no row {shown(doubt.method)} in the table {shown(doubt.table)}")
    return Source(origin=origin, figures=tuple(figures))


def inconsistencies(source: Source) -> Iterator[tuple[str, str, str, float, float]]:
    """Printed means that are not the mean of what is printed beside them: table, method, dataset, printed, computed."""
    rows: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for figure in source.figures:
        rows.setdefault((figure.table, figure.method), {})[figure.dataset, figure.target] = figure.value
    for (table, method), values in rows.items():
        for (dataset, target), printed in values.items():
            parts = [
                value
                for (other, part), value in values.items()
                if (other == dataset and part if dataset else other and not part)
            ]
            if not target and parts:
                computed = sum(parts) / len(parts)
                if abs(computed - printed) > ROUNDING + 1e-9:
                    yield table, method, dataset, printed, computed


def _figures(path: Path) -> Iterator[tuple[int, Figure]]:
    """Every line of a table of figures, with its number."""
    try:
        if path.stat().st_size > LARGEST:
            raise CardError(f"{path}: has more than {LARGEST:,} bytes")
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise CardError(f"{path}: cannot be read ({shown(str(error), 200)})") from error
    if not lines or tuple(lines[0]) != COLUMNS:
        raise CardError(f"{path}: expected the columns {','.join(COLUMNS)}")
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(COLUMNS):
            raise CardError(f"{path}, line {number}: expected {len(COLUMNS)} cells, got {len(line)}")
        row = {name: _number(name, cell) for name, cell in zip(COLUMNS, line, strict=True)}
        yield number, validated(row, Figure, f"{path}, line {number}")


def _number(name: str, cell: str) -> str | float | None:
    """A cell as the model wants it: a number where one is meant and written."""
    if name == "spread" and not cell:
        return None
    if name in ("value", "spread"):
        try:
            return float(cell)
        except ValueError:
            return cell
    return cell
