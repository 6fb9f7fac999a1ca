"""Which examples of a domain train, which validate, which test.

A split depends on the names of the dataset and the domain and on the trial alone, so every algorithm sees the same
one. The test part does not even depend on the trial: it is one fixed set, and validation is drawn from the rest.
Where domains share their groups, all of them give the same groups to each part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgbench.core.cards import PerDomain
from dgbench.core.errors import DataError
from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain, Labels

Rows = NDArray[np.int64]

LEVELS = 10
"""Into how many classes of as many examples values are put, where a split or a draw is by class."""


@dataclass(frozen=True)
class Split:
    """Rows of a domain, ascending; the three parts are disjoint and together are the whole domain."""

    train: Rows
    validation: Rows
    test: Rows


def split(
    dataset: Dataset, domain: str, trial: int, validation: float, test: float = 0.0, official: bool = False
) -> Split:
    """Divide a domain without ever dividing a group.

    Where every example is its own group, each class gives its share (rounded, at least one example); of values each
    tenth, from the least to the greatest, is a class, or each of fewer parts where fewer than ten are drawn. Otherwise
    whole groups are taken in random order, each if it brings the part closer to its share. Where the domains of the
    dataset share their groups, each class gives its share of groups (rounded, at least one), the same in every domain.

    Args:
        dataset: Its domains and their groups.
        domain: Name of the domain that is divided.
        trial: Seed of the validation part.
        validation: Share of the *whole* domain, in [0, 1).
        test: Share of the whole domain, in [0, 1).
        official: Take the parts that the dataset comes with. Where it has none to validate on, a share of its training
            part is drawn for that. Where a domain of the card is many, and some of these have such a part, the others
            validate nothing.

    Raises:
        DataError: the shares leave nothing to train on, or there are fewer groups than parts, or the dataset has no
            official parts to train and to validate on. One of many domains that cannot be divided trains whole.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise DataError(f"validation ({validation}) and test ({test}) must be at least 0 and sum to less than 1")
    divided = dataset.domain(domain)
    if official:
        return _official(dataset, divided, trial, validation)
    if dataset.shared_groups:
        made = _draw_shared(dataset, divided, trial, validation, test)
    else:
        made = _draw(divided.labels, divided.groups, (dataset.name, domain), trial, validation, test)
    if len(made.train) == 0 or len(made.validation) == 0 < validation:
        if divided.part_of:
            return _whole(np.union1d(made.train, made.validation), made.test)
        groups = len(np.unique(divided.groups))
        raise DataError(f"domain '{domain}' has {groups} groups, too few for shares of {validation} and {test}")
    return made


def tested(dataset: Dataset, domain: str, trial: int, validation: float, test: float, official: bool) -> Rows:
    """The rows of a target that are tested: its fixed test part where there is one, else all of them, ascending.

    Args:
        dataset, domain, trial, validation, test, official: As for :func:`split`.
    """
    target = dataset.domain(domain)
    if test:
        return split(dataset, domain, trial, validation, test).test
    if official and target.official is not None and (target.official == "test").any():
        return np.flatnonzero(target.official == "test")
    return np.arange(len(target))


def untested(dataset: Dataset, domain: str, trial: int, validation: float, test: float, official: bool) -> Rows:
    """The training rows of a target, which are not tested: what a training may see of it without labels, ascending.

    Args:
        dataset, domain, trial, validation, test, official: As for :func:`split`.

    Raises:
        DataError: all of its images are tested, or validate.
    """
    rules = (dataset, domain, trial, validation, test, official)
    target = dataset.domain(domain)
    if official:
        own = np.arange(0) if target.official is None else np.flatnonzero(target.official == "train")
    else:
        own = split(*rules).train
    left = np.setdiff1d(own, tested(*rules))
    if len(left) == 0:
        raise DataError(
            f"of the target '{domain}' all images are tested that do not validate, so a training may see none of "
            "them, even without labels; write 'unlabelled = \"tested\"' in the board's rules to show it those"
        )
    return left


def viewed(dataset: Dataset, domain: str, trial: int, validation: Rows, most: PerDomain) -> Rows:
    """Those of a domain's validation rows that are looked at under shifts, ascending.

    They are drawn by class: every class gives one as far as that is possible, and beyond that its share of ``most``,
    rounded as Webster's method of apportionment does. Larger numbers take the same rows and further ones.

    Args:
        dataset, domain, trial: They seed the draw, with ``validation``.
        validation: The validation rows of that domain in that trial.
        most: How many are taken, if there are as many.
    """
    if most == "all" or len(validation) <= most:
        return validation
    labels = strata(dataset.domain(domain).labels[validation])
    return np.sort(validation[by_turns(labels, generator("views", dataset.name, domain, trial))[:most]])


def strata(labels: Labels, levels: int = LEVELS) -> Rows:
    """What is drawn from alike, ``[n]``: the class of each example, or in which tenth of all values its own lies.

    Args:
        labels: Of the examples.
        levels: Into how many classes values are put.
    """
    if labels.dtype.kind != "f":
        return labels
    order = np.lexsort((np.arange(len(labels)), labels))
    places = np.empty(len(labels), np.int64)
    places[order] = np.arange(len(labels)) * levels // max(len(labels), 1)
    return places


def by_turns(labels: Rows, random: np.random.Generator) -> NDArray[np.int64]:
    """Places of examples in a random order of which each beginning has every class by its share.

    First comes one of each class, then whichever class is furthest below its share (Webster's method of apportionment).
    """
    shuffled = random.permutation(len(labels))
    classes = labels[shuffled]
    turns = np.empty(len(shuffled))  # at which share of all classes an example is taken
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        turns[members] = (np.arange(len(members)) + 0.5) / len(members)
        turns[members[0]] = 0
    return shuffled[np.argsort(turns, kind="stable")]


def _draw(labels: Labels, groups: Rows, names: tuple[str, ...], trial: int, validation: float, test: float) -> Split:
    left = np.ones(len(labels), bool)
    tests = _take(labels, groups, np.flatnonzero(left), test, generator("split", "test", *names))
    left[tests] = False
    validates = _take(labels, groups, np.flatnonzero(left), validation, generator("split", "validation", *names, trial))
    left[validates] = False
    return Split(np.flatnonzero(left), validates, tests)


def _draw_shared(dataset: Dataset, domain: Domain, trial: int, validation: float, test: float) -> Split:
    """Draw groups out of all that any domain has; a group counts for the class of its first example."""
    groups, first = np.unique(np.concatenate([d.groups for d in dataset.domains]), return_index=True)
    classes = np.concatenate([d.labels for d in dataset.domains])[first]
    # The domain's name is no part of the seed: that is what makes all domains agree.
    drawn = _draw(classes, groups, (dataset.name,), trial, validation, test)
    parts = (drawn.train, drawn.validation, drawn.test)
    return Split(*(np.flatnonzero(np.isin(domain.groups, groups[part])) for part in parts))


def _whole(train: Rows, tests: Rows) -> Split:
    """Nothing validates: a domain of a single group."""
    return Split(train, train[:0], tests)


def _official(dataset: Dataset, domain: Domain, trial: int, validation: float) -> Split:
    parts = np.full(len(domain), "none") if domain.official is None else domain.official
    train, validates, tests = (np.flatnonzero(parts == part) for part in ("train", "validation", "test"))
    if len(train) == 0:
        names, counts = np.unique(parts, return_counts=True)
        there = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
        raise DataError(
            f"the official splits of '{dataset.name}' leave domain '{domain.name}' nothing to train on (it has: "
            f"{there}); draw the parts instead, with 'official = false' in [split] of the board"
        )
    if len(validates) == 0 and domain.part_of not in dataset.validated:
        drawn = _draw(domain.labels[train], domain.groups[train], (dataset.name, domain.name), trial, validation, 0.0)
        if domain.part_of and len(drawn.train) == 0:
            return _whole(train, tests)
        train, validates = train[drawn.train], train[drawn.validation]
    return Split(train, validates, tests)


def _take(labels: Labels, groups: Rows, rows: Rows, share: float, random: np.random.Generator) -> Rows:
    """A part of ``rows`` that holds about ``share`` of all examples, ascending."""
    if share == 0:
        return np.empty(0, np.int64)
    if len(np.unique(groups)) == len(groups):
        # each class gives one at least, so values are no more classes than the part has examples
        wanted = max(1, round(share * len(labels)))
        return _by_class(strata(labels, min(LEVELS, wanted)), rows, share, random)
    return _by_group(groups, rows, share * len(groups), random)


def _by_class(labels: Rows, rows: Rows, share: float, random: np.random.Generator) -> Rows:
    parts = [np.empty(0, np.int64)]
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
