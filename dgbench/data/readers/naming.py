"""Names on disk against names on a card: which domain, class or split is meant.

Case, spaces, underscores and hyphens do not matter (``Real World`` is ``real_world``), unless names differ in nothing
else (the letters ``a`` and ``A``).
"""

from __future__ import annotations

import errno
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import CardError, DataError, did_you_mean

SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""What the usual names of splits mean; a card may add others."""


def plain(name: str) -> str:
    """A name without what does not matter; numbers lose their leading zeros."""
    return str(int(name)) if name.isdecimal() else re.sub(r"[\s_-]+", "", name).casefold()


@dataclass(frozen=True)
class Names:
    """Which number a name stands for."""

    numbers: Mapping[str, int]
    exact: bool

    @staticmethod
    def of(pairs: Iterable[tuple[str, int]]) -> Names:
        """From names and their numbers; several names may have one number."""
        pairs = list(pairs)
        loose = {(plain(name), number) for name, number in pairs}
        if len(dict(loose)) == len(loose):
            return Names(dict(loose), exact=False)
        return Names(dict(pairs), exact=True)

    def number(self, name: str) -> int | None:
        """The number of a name, None where nobody has it."""
        return self.numbers.get(name if self.exact else plain(name))


def domain_names(card: DatasetCard) -> Names:
    """The names that the domains of a card may have on disk; the number is the position on the card.

    Raises:
        CardError: two domains share a name.
    """
    pairs = {(name, i) for i, d in enumerate(card.domains) for name in (d.name, *d.folders)}
    twice = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    if twice:
        raise CardError(f"{card.name}: two domains have a folder {some(twice)}; a name belongs to one domain")
    return Names.of(pairs)


@dataclass(frozen=True)
class Classes:
    """The classes of a dataset.

    Attributes:
        names: As results call them, in the order of their numbers.
        on_disk: What they may be called where the data lies.
    """

    names: tuple[str, ...]
    on_disk: Names


def classes_of(card: DatasetCard, found: Iterable[str], numeric: bool = False) -> Classes:
    """The classes of a card, given the names (or, where the card has the names, the numbers) that were found.

    Args:
        card: Its ``classes`` give names and their order, or only how many there are; then names sort.
        found: Names on disk.
        numeric: Whether names are numbers, and sort as such.

    Raises:
        DataError: the card says how many there are, and there are more or fewer.
    """
    found = set(found)
    if isinstance(card.classes, tuple):
        by_name = Names.of((name, i) for i, name in enumerate(card.classes))
        if all(name.isdecimal() for name in found) and any(by_name.number(name) is None for name in found):
            return Classes(card.classes, numbered(len(card.classes)))
        return Classes(card.classes, by_name)
    if len(found) != card.classes:  # some may be one class, written in two ways
        found = set({plain(name): name for name in sorted(found, reverse=True)}.values())
    ordered = sorted(found, key=int) if numeric else sorted(found)
    if len(ordered) != card.classes:
        raise DataError(
            f"{card.name}: the card says {card.classes} classes, but there are {len(ordered)}: {some(ordered)}"
        )
    return Classes(tuple(ordered), Names.of((name, i) for i, name in enumerate(ordered)))


def numbered(count: int) -> Names:
    """Classes that are called by their numbers."""
    return Names.of((str(i), i) for i in range(count))


def label_numbers(card: DatasetCard, values: Sequence[str], where: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Class names, and the class numbers of a column of class names or numbers.

    Args:
        card: Its classes.
        values: The column.
        where: What errors call it.

    Raises:
        DataError: a value is no class of the card.
    """
    found = set(values)
    classes = classes_of(card, found, numeric=all(value.isdecimal() for value in found))
    numbers = {value: classes.on_disk.number(value) for value in found}
    unknown = sorted(value for value, number in numbers.items() if number is None)
    if unknown:
        raise DataError(f"{where}: no class of '{card.name}' is called {some(unknown)}.{hint(unknown, classes.names)}")
    return classes.names, np.array([numbers[value] for value in values], np.int64)


def split_meanings(given: Mapping[str, str]) -> dict[str, str]:
    """What names of splits mean (in their plain form): the usual ones and those of a card."""
    return {plain(name): meaning for name, meaning in {**SPLITS, **given}.items()}


def some(names: Iterable[str], at_most: int = 8) -> str:
    """Names for a message, not too many."""
    names = list(names)
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(f"'{name}'" for name in names[:at_most]) + more


def hint(unknown: Sequence[str], known: Sequence[str]) -> str:
    """What may have been meant by the first of some unknown names."""
    return did_you_mean(unknown[0], known) if len(known) <= 100 or len(unknown) == 1 else ""


class Present:
    """Which files there are below a folder; every folder is read once, since single questions are slow on networks."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, frozenset[str]] = {}

    def __contains__(self, path: str) -> bool:
        folder, _, file = path.rpartition("/")
        if folder not in self._known:
            try:
                self._known[folder] = frozenset(entry.name for entry in (self._root / folder).iterdir())
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP):
                    raise DataError(f"{self._root / folder} cannot be read ({error.strerror}); may you?") from error
                self._known[folder] = frozenset()
        return file in self._known[folder]
