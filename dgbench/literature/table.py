"""Published figures as a frame, and as the tables of a dataset or an algorithm."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from dgbench.core.errors import UnknownNameError
from dgbench.literature.source import Conditions, Figure, Origin, Source, sources

HEADING = "Published elsewhere"
WARNING = (
    "Not computed here, and never ranked with what was: read from papers and from the pages of their code, under other "
    "protocols, backbones and ways of selection. Compare within one table."
)
SAME_IDEA = "An algorithm that is linked follows the same idea; it is not the same code."
SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("source", "table", "method", "algorithm", "dataset", "target", "measure", "unit"), pl.String()),
    **dict.fromkeys(("value", "spread"), pl.Float64()),
    **dict.fromkeys(("spread_is", "protocol", "backbone", "pretrained_on", "selection"), pl.String()),
    "target_labels": pl.Boolean(),
    **dict.fromkeys(("draws", "trials"), pl.Int64()),
    **dict.fromkeys(("title", "seen", "doubts", "citation"), pl.String()),
}
"""Columns of :func:`frame`."""


@dataclass(frozen=True)
class Row:
    """A method in a table: its figures by column, None where there is none."""

    method: str
    algorithm: str
    figures: Sequence[Figure | None]
    doubts: Sequence[str]

    @property
    def cells(self) -> list[str]:
        """The figures as they are printed, ``79.4 ±0.2``; a dash where there is none."""
        return [
            "–" if one is None else f"{one.value:.1f}" + ("" if one.spread is None else f" ±{one.spread:.1f}")
            for one in self.figures
        ]


@dataclass(frozen=True)
class Table:
    """Some figures of a published table.

    Attributes:
        origin, name, conditions: Which, and how it came about.
        columns: Targets or datasets; ``mean`` for the mean over them.
        rows: Methods in the order of the publication, which is no ranking.
    """

    origin: Origin
    name: str
    conditions: Conditions
    columns: Sequence[str]
    rows: Sequence[Row]

    @property
    def heading(self) -> str:
        """Whose table it is, and which."""
        return f"{self.origin.paper.cite()}: {self.conditions.title}"

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the table and of its rows."""
        doubts = [f"{row.method}: {doubt}." for row in self.rows for doubt in row.doubts]
        return [*self.origin.notes, *doubts]

    @property
    def about(self) -> str:
        """How the figures came about, in sentences."""
        c = self.conditions
        budget = [
            f"{count} {word}{'s' if count != 1 else ''}"
            for count, word in ((c.draws, "draw"), (c.trials, "trial"))
            if count is not None
        ]
        sentences = [
            f"{c.measure.capitalize()} in {c.unit}",
            f"protocol: {c.protocol}",
            f"backbone: {c.backbone}{f', pretrained on {c.pretrained_on}' if c.pretrained_on else ''}",
            f"selected by: {c.selection}{', which reads target labels' if c.target_labels else ''}",
            *([" and ".join(budget)] if budget else []),
            *([f"± is {c.spread}"] if c.spread else []),
            f"read in: {self.origin.seen}",
        ]
        return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences) + "."


def frame(dataset: str | None = None, algorithm: str | None = None) -> pl.DataFrame:
    """Every published figure, a row each; see :data:`SCHEMA`.

    Args:
        dataset: Of this one alone, its means and its targets.
        algorithm: Of methods by the idea of this recipe alone.

    Raises:
        UnknownNameError: nothing is known of it.
    """
    known = sources()
    _known("dataset with published numbers", dataset, (f.dataset for source in known for f in source.figures))
    _known("algorithm with published numbers", algorithm, (f.algorithm for source in known for f in source.figures))
    rows = [
        {
            "source": source.origin.name,
            **figure.model_dump(),
            "spread_is": conditions.spread,
            **conditions.model_dump(exclude={"spread", "title"}),
            "title": conditions.title,
            "seen": source.origin.seen,
            "doubts": "; ".join(source.doubts(figure.table, figure.method)),
            "citation": source.origin.paper.cite(),
        }
        for source in known
        for figure in source.figures
        for conditions in [source.origin.tables[figure.table]]
        if dataset in (None, figure.dataset) and algorithm in (None, figure.algorithm)
    ]
    return pl.DataFrame(rows, SCHEMA)


def tables(datasets: Collection[str] = (), algorithm: str | None = None) -> list[Table]:
    """What was published, table by table.

    Args:
        datasets: For one dataset there is a column for each of its targets, and their mean; for several, or all if
            none is named, one for each dataset.
        algorithm: Methods by the idea of this recipe alone.
    """
    column = "target" if len(datasets) == 1 else "dataset"

    def wanted(figure: Figure) -> bool:
        return (
            (not datasets or figure.dataset in datasets)
            and (column == "target" or not figure.target)
            and algorithm in (None, figure.algorithm)
        )

    made = []
    for source in sources():
        found: dict[str, list[Figure]] = {}
        for figure in filter(wanted, source.figures):
            found.setdefault(figure.table, []).append(figure)
        made += [_table(source, name, found[name], column) for name in source.origin.tables if name in found]
    return made


def _table(source: Source, name: str, figures: Sequence[Figure], column: str) -> Table:
    """Figures side by side; the mean stands last."""
    heads = list(dict.fromkeys(key for figure in figures if (key := getattr(figure, column))))
    if any(not getattr(figure, column) for figure in figures):
        heads.append("")
    methods: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        methods.setdefault(figure.method, {})[getattr(figure, column)] = figure
    rows = [
        Row(
            method,
            next(iter(found.values())).algorithm,
            [found.get(head) for head in heads],
            source.doubts(name, method),
        )
        for method, found in methods.items()
    ]
    return Table(source.origin, name, source.origin.tables[name], [head or "mean" for head in heads], rows)


def _known(kind: str, name: str | None, names: Iterable[str]) -> None:
    known = {each for each in names if each}
    if name is not None and name not in known:
        raise UnknownNameError(kind, name, known)
