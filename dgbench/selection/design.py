"""The design of a board: which of its values are independent, and what each of them counts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from dgbench.selection import means, pairs, statistics
from dgbench.selection.looks import shares
from dgbench.selection.pairs import Contrasts, over_looks
from dgbench.selection.statistics import ANY, DIFFERENCE, POSITIVE, SHARE, Estimate, Range


@dataclass(frozen=True)
class Lead:
    """How far one algorithm is ahead of another, in the same cells.

    Attributes:
        total: The mean of the differences over all targets.
        targets: The same on each target.
    """

    total: Estimate
    targets: Mapping[str, Estimate]


@dataclass(frozen=True)
class Design:
    """What is needed to make an estimate of a table with the columns ``target`` and ``trial``.

    Targets whose models learn from the same domains are served by the same trainings, whatever a board's protocol is
    called, and form a cluster. Which training of several a draw of hyperparameters chose makes no difference.

    Attributes:
        clusters: What the models that are tested on a target learn from: a dataset and its domains.
        weights: Of the targets in every mean; 1 for those that are not named.
        looks: After how many trials several algorithms are looked at, ascending; once, at all that there are, if empty.
            With looks, some may have more trials than others: as many as some look says.
        within: What values there can be of what is averaged, where nothing else is said.
    """

    clusters: Mapping[str, Hashable]
    weights: Mapping[str, float] = field(default_factory=dict)
    looks: tuple[int, ...] = ()
    within: Range = SHARE

    @classmethod
    def of(
        cls,
        runs: pl.DataFrame,
        weights: Mapping[str, float] | None = None,
        looks: tuple[int, ...] = (),
        within: Range = SHARE,
    ) -> Design:
        """The design that records have: :data:`dgbench.selection.records.RUNS`."""
        served = runs.select("target", "dataset", "sources").unique().iter_rows()
        clusters = {target: (dataset, *sorted(sources)) for target, dataset, sources in served}
        return cls(clusters, weights or {}, looks, within)

    @property
    def apart(self) -> Range:
        """What differences of two values there can be."""
        return DIFFERENCE if self.within == SHARE else ANY

    @property
    def lost(self) -> Range:
        """What differences there can be from the best."""
        return SHARE if self.within == SHARE else POSITIVE

    def estimate(self, cells: pl.DataFrame, column: str, within: Range | None = None) -> Estimate:
        """The mean of a column over targets and trials.

        Args:
            cells: At most one row for each target and trial, and at least one row.
            column: What is averaged.
            within: What values the column can take.
        """
        targets, values = self._values(cells, column)
        return replace(statistics.estimate(values, *self.shape(targets)), within=within or self.within)

    def means(self, cells: Mapping[str, pl.DataFrame], column: str, within: Range | None = None) -> dict[str, Estimate]:
        """The mean of every algorithm by a column of their tables, at the last look at it.

        Every table has the same targets and trials, as far as trials go.
        """
        found: dict[str, Estimate] = {}
        for targets, values in self._looks(cells, column):
            found |= means.means(values, *self.shape(targets), within or self.within)
        return {name: found[name] for name in cells}

    def difference(self, cells: pl.DataFrame, first: str, second: str, within: Range | None = None) -> Estimate:
        """The mean of one column minus another, paired in each row."""
        targets, values = self._values(cells, first)
        found = statistics.difference(values, self._values(cells, second)[1], *self.shape(targets))
        return replace(found, within=within or self.apart)

    def ahead(
        self, one: pl.DataFrame, other: pl.DataFrame, column: str, within: Range | None = None
    ) -> Estimate | None:
        """A column of one table minus that of another, paired by target and trial; None where they share no pair.

        Args:
            one, other: At most one row for each target and trial.
            column: What is compared.
            within: What values the difference can take.
        """
        first, second = _by_target(one, column), _by_target(other, column)
        shared = {
            target: {trial: value for trial, value in values.items() if trial in second.get(target, {})}
            for target, values in first.items()
        }
        shared = {target: values for target, values in shared.items() if values}
        if not shared:
            return None
        targets, values = _in_order(shared)
        others = _in_order({target: {trial: second[target][trial] for trial in shared[target]} for target in shared})[1]
        return replace(statistics.difference(values, others, *self.shape(targets)), within=within or self.apart)

    def compare(self, one: pl.DataFrame, other: pl.DataFrame, column: str) -> Lead | None:
        """A column of one table minus that of another, paired by target and trial; None where they share no pair.

        Args:
            one, other: At most one row for each target and trial.
            column: What is compared.
        """
        places = other.select("target", "trial", pl.col(column).alias("other"))
        paired = one.join(places, on=["target", "trial"]).sort("target", "trial")
        if paired.is_empty():
            return None
        parts = paired.group_by("target", maintain_order=True)
        targets = {str(target): self.difference(rows, column, "other") for (target,), rows in parts}
        return Lead(self.difference(paired, column, "other"), targets)

    def contrasts(self, cells: Mapping[str, pl.DataFrame], column: str, within: Range | None = None) -> Contrasts:
        """Every two algorithms by a column of their tables, at every look at both.

        Every table has the same targets and trials, as far as trials go.
        """
        apart = within or self.apart
        found = [pairs.contrasts(values, *self.shape(targets), apart) for targets, values in self._looks(cells, column)]
        return over_looks(found, shares(self.looks)) if self.looks else found[0]

    def _looks(
        self, cells: Mapping[str, pl.DataFrame], column: str
    ) -> Iterator[tuple[list[str], dict[str, list[list[float]]]]]:
        """What each look sees: targets, and the values of those algorithms that have its trials."""
        seen: list[Mapping[str, pl.DataFrame]] = [cells]
        if self.looks:
            trials = {name: each["trial"].n_unique() for name, each in cells.items()}
            seen = [
                {name: each.filter(pl.col("trial") < look) for name, each in cells.items() if trials[name] >= look}
                for look in self.looks
            ]
        for each in seen:
            tables = {name: self._values(part, column) for name, part in each.items()}
            targets = next((targets for targets, _ in tables.values()), [])
            yield targets, {name: values for name, (_, values) in tables.items()}

    def _values(self, cells: pl.DataFrame, column: str) -> tuple[list[str], list[list[float]]]:
        """Targets by name, and for each its values by trial."""
        return _in_order(_by_target(cells, column))

    def shape(self, targets: Sequence[str]) -> tuple[list[float], list[Hashable]]:
        """Weights and clusters of targets, as :func:`dgbench.selection.statistics.estimate` takes them."""
        return [self.weights.get(target, 1.0) for target in targets], [self.clusters[target] for target in targets]


def _by_target(cells: pl.DataFrame, column: str) -> dict[str, dict[int, float]]:
    """The values of a column by target and trial."""
    found: dict[str, dict[int, float]] = {}
    columns = (cells[name].to_list() for name in ("target", "trial", column))
    for target, trial, value in zip(*columns, strict=True):
        found.setdefault(target, {})[trial] = value
    return found


def _in_order(found: Mapping[str, Mapping[int, float]]) -> tuple[list[str], list[list[float]]]:
    """Targets by name, and for each its values by trial, NaN where there is none."""
    targets = sorted(found)
    trials = sorted({trial for values in found.values() for trial in values})
    return targets, [[found[target].get(trial, math.nan) for trial in trials] for target in targets]
