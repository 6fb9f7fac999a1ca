"""Names on disk against names on a card: which domain, class or split is meant.

A name that is on the card means itself. Otherwise case, spaces, underscores, hyphens and leading zeros do not matter
(``Real World`` is ``real_world``), unless names on the card differ in nothing else (the letters ``a`` and ``A``).
"""

from __future__ import annotations

import errno
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import CardError, DataError, did_you_mean
from dgbench.core.judged_by import ValueCard
from dgbench.core.names import readable

SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""What the usual names of splits mean; a card may add others."""


def plain(name: str) -> str:
    """A name without what does not matter; numbers lose their leading zeros."""
    if name.isdecimal():
        return "".join(str(unicodedata.decimal(digit)) for digit in name).lstrip("0") or "0"
    return readable(re.sub(r"[\s_-]+", "", name).casefold())


@dataclass(frozen=True)
class Names:
    """Which number a name stands for: the names as they are, and what they stand for where nothing else does."""

    exact: Mapping[str, int]
    loose: Mapping[str, int]

    @staticmethod
    def of(pairs: Iterable[tuple[str, int]]) -> Names:
        """From names and their numbers; several names may have one number."""
        exact: dict[str, int] = {}
        loose: dict[str, set[int]] = defaultdict(set)
        for name, number in pairs:
            exact[readable(name)] = number
            loose[plain(readable(name))].add(number)
        return Names(exact, {name: min(numbers) for name, numbers in loose.items() if len(numbers) == 1})

    def number(self, name: str) -> int | None:
        """The number of a name as it stands on a disk or in a table, None where nobody has it."""
        composed = readable(name)
        return self.exact.get(composed, self.loose.get(plain(composed)))


def domain_names(card: DatasetCard) -> Names:
    """The names that the domains of a card may have on disk; the number is the position on the card.

    Raises:
        CardError: two domains share a name.
    """
    pairs = {(readable(name), i) for i, d in enumerate(card.domains) for name in (d.name, *d.folders)}
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
        found: Names as they stand on the disk.
        numeric: Whether names are numbers, and sort as such.

    Raises:
        DataError: the card says how many there are, and there are more or fewer.
    """
    found = set(map(readable, found))
    if isinstance(card.classes, tuple):
        by_name = Names.of((name, i) for i, name in enumerate(card.classes))
        if all(name.isdecimal() for name in found) and any(by_name.number(name) is None for name in found):
            return Classes(card.classes, numbered(len(card.classes)))
        return Classes(card.classes, by_name)
    if len(found) != card.classes:  # some may be one class, written in two ways
        found = set({plain(name): name for name in sorted(found, reverse=True)}.values())
    ordered = sorted(found, key=lambda name: (len(plain(name)), plain(name))) if numeric else sorted(found)
    if len(ordered) != card.classes:
        raise DataError(
            f"{card.name}: the card says {card.classes} classes, but there are {len(ordered)}: {some(ordered)}"
        )
    return Classes(tuple(ordered), Names.of((name, i) for i, name in enumerate(ordered)))


def numbered(count: int) -> Names:
    """Classes that are called by their numbers."""
    return Names.of((str(i), i) for i in range(count))


def label_numbers(card: DatasetCard, values: Sequence[str], where: str) -> tuple[tuple[str, ...], NDArray[Any]]:
    """Class names, and the class numbers of a column of class names or numbers; of a card with a value that, and none.

    Args:
        card: Its classes, or its value.
        values: The column.
        where: What errors call it.

    Raises:
        DataError: what stands there is no class of the card, or no number where it has a value.
    """
    if card.value is not None:
        return (), _numbers(card.value, values, where)
    found = set(values)
    classes = classes_of(card, found, numeric=all(value.isdecimal() for value in found))
    numbers = {value: classes.on_disk.number(value) for value in found}
    unknown = sorted(value for value, number in numbers.items() if number is None)
    if unknown:
        raise DataError(f"{where}: no class of '{card.name}' is called {some(unknown)}.{hint(unknown, classes.names)}")
    return classes.names, np.array([numbers[value] for value in values], np.int64)


def _numbers(value: ValueCard, said: Sequence[str], where: str) -> NDArray[np.float64]:
    numbers, wrong = np.empty(len(said)), list[str]()
    for row, text in enumerate(said):
        try:
            # Python's own way to write numbers has 1_000, and the digits of every script
            numbers[row] = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            numbers[row] = math.nan
        if not math.isfinite(numbers[row]):
            wrong.append(text)
    if wrong:
        raise DataError(
            f"{where}: {len(wrong)} of {len(said)} rows have no number that is the {value.what}: "
            f"{some(dict.fromkeys(wrong))}; write it as 12.5, or take the rows out"
        )
    return numbers


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
    """Which files there are below a folder; every folder is read once, since single questions are slow on networks.

    A name is the same, composed or decomposed: some disks change that.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, dict[str, str]] = {}

    def find(self, path: str) -> str | None:
        """The path of a file as it stands on the disk; None where there is no such file."""
        folder, _, file = path.rpartition("/")
        if self._names(folder).get(file) == file:
            return path
        found: list[str] = []
        for part in path.split("/"):
            name = part if part in (".", "..") else self._names("/".join(found)).get(readable(part))
            if name is None:
                return None
            found.append(name)
        return "/".join(found)

    def __contains__(self, path: str) -> bool:
        return self.find(path) is not None

    def _names(self, folder: str) -> dict[str, str]:
        """The names in a folder as they stand there: by themselves, and by their composed form."""
        if folder not in self._known:
            try:
                there = [entry.name for entry in (self._root / folder).iterdir()]
            except ValueError:  # no file can have such a name
                there = []
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP):
                    raise DataError(f"{self._root / folder} cannot be read ({error.strerror}); may you?") from error
                there = []
            self._known[folder] = {readable(name): name for name in there} | {name: name for name in there}
        return self._known[folder]
