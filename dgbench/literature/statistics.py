"""Tests by ranks of tables that others published, and what each way of selection lost against target labels.

Figures are taken as they are printed, rounded to a tenth: two that are printed alike tie. Blocks are datasets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dgbench.board.render.figures import SHARES
from dgbench.board.render.report.sections import Report
from dgbench.board.render.statistics.data import tests_as_data
from dgbench.board.render.statistics.sections import KIND, REST, tested
from dgbench.core.errors import DGBenchError, UnknownNameError
from dgbench.literature.source import Conditions, Origin, Source, sources
from dgbench.literature.table import WARNING
from dgbench.selection.rank_tests import RankTests, rank_tests

_CONTROL = "ERM"
_SAMPLE = (
    "Blocks are the datasets of the table, each with one number for an algorithm, as it was published: the tests speak "
    "of datasets like these, and know nothing of the spread over trials."
)


@dataclass(frozen=True)
class TableTests:
    """A table, tested.

    Attributes:
        name, conditions: Which, and how it came about.
        tests: Of the methods that have a figure on every dataset.
        left_out: The other methods.
        regret: What the ways of selection lost: the mean over methods and datasets of the same source's figures that
            were selected by target labels, minus those of this table, in points; None where there is no such pair.
    """

    name: str
    conditions: Conditions
    tests: RankTests
    left_out: tuple[str, ...]
    regret: float | None


@dataclass(frozen=True, repr=False)
class PublishedStatistics:
    """The tables of a publication that tests by ranks can be made of.

    Attributes:
        origin: The publication.
        tables: Those with three methods or more on two datasets or more.
    """

    origin: Origin
    tables: tuple[TableTests, ...]

    def __repr__(self) -> str:
        return f"<Statistics of '{self.origin.name}', as published: {len(self.tables)} tables>"


def published_statistics(source: str, control: str | None = None) -> PublishedStatistics:
    """Tests by ranks of the tables of a publication.

    Args:
        source: Its name.
        control: The method that others are held against, as the publication calls it; ERM where it is there.

    Raises:
        UnknownNameError: there is no such publication, or no such method in it.
        DGBenchError: none of its tables has three methods on two datasets.
    """
    known = {one.origin.name: one for one in sources()}
    if source not in known:
        raise UnknownNameError("publication", source, known)
    found = known[source]
    methods = list(dict.fromkeys(figure.method for figure in found.figures))
    if control is not None and control not in methods:
        raise UnknownNameError(f"method in '{source}'", control, methods)
    grids = {name: grid for name in found.origin.tables if (grid := _grid(found, name)) is not None}
    if not grids:
        raise DGBenchError(f"no table of '{source}' has three methods on two datasets: tests by ranks need them")
    made = [
        TableTests(
            name,
            found.origin.tables[name],
            rank_tests(
                {method: list(values.values()) for method, values in grid.items()}, datasets, control or _CONTROL
            ),
            left_out=tuple(dict.fromkeys(f.method for f in found.figures if f.table == name and f.method not in grid)),
            regret=_regret(found, grids, name),
        )
        for name, grid in grids.items()
        for datasets in [list(next(iter(grid.values())))]
    ]
    return PublishedStatistics(found.origin, tuple(made))


_Grid = Mapping[str, Mapping[str, float]]
"""For each method its figure on every dataset, a share in [0, 1]; more is better."""


def _grid(source: Source, name: str) -> _Grid | None:
    """The methods of a table that have a figure on every dataset; None where they are too few."""
    error = source.origin.tables[name].measure == "error"
    figures = [f for f in source.figures if f.table == name and f.dataset and not f.target]
    datasets = dict.fromkeys(figure.dataset for figure in figures)
    rows: dict[str, dict[str, float]] = {}
    for figure in figures:
        rows.setdefault(figure.method, {})[figure.dataset] = (100 - figure.value if error else figure.value) / 100
    grid = {m: {dataset: row[dataset] for dataset in datasets} for m, row in rows.items() if len(row) == len(datasets)}
    return grid if len(grid) > 2 and len(datasets) > 1 else None


def _regret(source: Source, grids: Mapping[str, _Grid], name: str) -> float | None:
    tables = source.origin.tables
    labelled = [other for other in grids if tables[other].target_labels]
    if tables[name].target_labels is not False or len(labelled) != 1:
        return None
    best, own = grids[labelled[0]], grids[name]
    if {method: set(row) for method, row in best.items()} != {method: set(row) for method, row in own.items()}:
        return None
    return 100 * float(np.mean([best[method][d] - value for method, row in own.items() for d, value in row.items()]))


def report(found: PublishedStatistics) -> Report:
    """For readers."""
    sections = []
    for number, table in enumerate(found.tables):
        sample = [_SAMPLE, WARNING] if not number else [_SAMPLE]
        made = tested(table.tests, {}, f"table-{table.name}", table.conditions.title.capitalize(), sample, SHARES)
        said = [f"Selected by {table.conditions.selection}.", *made.said]
        if table.regret is not None:
            said.append(
                f"What this selection lost against target labels: {table.regret:.1f} points, in the mean over methods "
                "and datasets."
            )
        if table.left_out:
            said.append(f"Without a figure on every dataset: {', '.join(table.left_out)}.")
        sections.append(replace(made, said=said))
    provenance = {"published in": found.origin.paper.cite(), "read in": found.origin.seen}
    return Report(KIND, found.origin.title, f"as published, not computed here. {REST}", tuple(sections), provenance)


def as_data(found: PublishedStatistics) -> dict[str, object]:
    """For programs; regrets in points."""
    return {
        "source": found.origin.name,
        "tables": [
            {
                "table": table.name,
                "selection": table.conditions.selection,
                "target_labels": table.conditions.target_labels,
                "tests": tests_as_data(table.tests, SHARES),
                "left_out": table.left_out,
                "regret_points": table.regret,
            }
            for table in found.tables
        ],
    }
