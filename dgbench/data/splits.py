"""Which examples of a domain train, which validate, which test.

A split depends on the names of the dataset and the domain and on the trial alone, so every algorithm sees the same
one. The test part does not even depend on the trial: it is one fixed set, and validation is drawn from the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError
from dgbench.core.seeds import generator
from dgbench.data.domain import Domain

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Rows of a domain, ascending; the three parts are disjoint and together are the whole domain."""

    train: Rows
    validation: Rows
    test: Rows


def split(domain: Domain, dataset: str, trial: int, validation: float, test: float = 0.0) -> Split:
    """Divide a domain without ever dividing a group.

    Where every example is its own group, each class gives its share (rounded, at least one example). Otherwise whole
    groups are taken in random order, each if it brings the part closer to its share.

    Args:
        domain: What is divided.
        dataset: Name of the dataset.
        trial: Seed of the validation part.
        validation: Share of the *whole* domain, in [0, 1).
        test: Share of the whole domain, in [0, 1).

    Raises:
        DataError: the shares leave nothing to train on, or there are fewer groups than parts.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise DataError(f"validation ({validation}) and test ({test}) must be at least 0 and sum to less than 1")
    everything = np.arange(len(domain), dtype=np.int64)
    test_rows = _take(domain, everything, test, generator("split", "test", dataset, domain.name))
    rest = np.setdiff1d(everything, test_rows)
    validation_rows = _take(domain, rest, validation, generator("split", "validation", dataset, domain.name, trial))
    train = np.setdiff1d(rest, validation_rows)
    if len(train) == 0:
        groups = len(np.unique(domain.groups))
        raise DataError(f"domain '{domain.name}' has {groups} groups, too few for shares of {validation} and {test}")
    return Split(train, validation_rows, test_rows)


def _take(domain: Domain, rows: Rows, share: float, random: np.random.Generator) -> Rows:
    """A part of ``rows`` that holds about ``share`` of the whole domain, ascending."""
    if share == 0:
        return np.empty(0, np.int64)
    if len(np.unique(domain.groups)) == len(domain):
        return _by_class(domain.labels, rows, share, random)
    return _by_group(domain.groups, rows, share * len(domain), random)


def _by_class(labels: Rows, rows: Rows, share: float, random: np.random.Generator) -> Rows:
    parts = []
    for label in np.unique(labels[rows]):
        members = random.permutation(rows[labels[rows] == label])
        wanted = max(1, round(share * np.count_nonzero(labels == label)))
        parts.append(members[:wanted])
    return np.sort(np.concatenate(parts))


def _by_group(groups: Rows, rows: Rows, wanted: float, random: np.random.Generator) -> Rows:
    names, sizes = np.unique(groups[rows], return_counts=True)
    order = random.permutation(len(names))
    taken: list[int] = []
    count = 0
    for position in order:
        if not taken or abs(count + sizes[position] - wanted) < abs(count - wanted):
            taken.append(int(names[position]))
            count += int(sizes[position])
    return rows[np.isin(groups[rows], taken)]
