"""Columns of a table: what their names say, and their values as numbers."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.data.disk.naming import domain_names, hint, plain, some, split_meanings
from dgbench.data.listing import DomainListing, Listing, Pictures

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]

COLUMNS = {
    "image": (
        *(
            "image",
            "image path",
            "image file",
            "image file name",
            "image name",
            "path",
            "file path",
            "file name",
            "file",
        ),
        *("img", "img path", "img file name", "img name", "relative path", "picture", "photo"),
    ),
    "label": (
        *("label", "label name", "class", "class name", "class label", "category", "category name", "target", "y"),
        *("labels", "label id", "class id", "category id", "species", "diagnosis"),
    ),
    "domain": (
        *("domain", "domain name", "environment", "env", "site", "hospital", "center", "centre", "scanner", "camera"),
        *("location", "place", "style", "source", "device", "institution", "domain id", "site id", "center id"),
        *("hospital id", "camera id", "location id"),
    ),
    "split": ("split", "partition", "fold", "subset", "split name"),
    "group": (
        *("group", "group id", "patient", "patient id", "subject", "subject id", "sequence", "sequence id", "seq id"),
        *("scene", "scene id"),
    ),
}
"""Names that columns go by, the likeliest first; case, spaces, underscores and hyphens do not matter."""


def column_key(name: str) -> str:
    """The name of a column without what does not matter."""
    return re.sub(r"[\s_.-]+", "", unicodedata.normalize("NFC", name)).casefold()


def found_columns(columns: Sequence[str]) -> dict[str, list[str]]:
    """The columns that may be the image, the label and so on, by their names; the likeliest first."""
    by_key: dict[str, list[str]] = {}
    for column in columns:
        by_key.setdefault(column_key(column), []).append(column)
    found = {kind: [c for name in names for c in by_key.get(column_key(name), ())] for kind, names in COLUMNS.items()}
    return {kind: list(dict.fromkeys(candidates)) for kind, candidates in found.items() if candidates}


def in_words(values: Sequence[str]) -> list[str]:
    """The values of a column of names: composed Unicode, single spaces, and whole numbers without ``.0``.

    What is written in two ways that look the same is one name. A column of numbers in which one was missing is written
    as ``1.0`` by pandas, and means ``1``.
    """
    tidy = {value: " ".join(unicodedata.normalize("NFC", value).split()) for value in set(values)}
    if all(re.fullmatch(r"[0-9]+(\.0*)?", word) for word in tidy.values()):
        tidy = {value: word.partition(".")[0] for value, word in tidy.items()}
    return [tidy[value] for value in values]


def domain_rows(card: DatasetCard, values: Sequence[str], where: str, *, all_known: bool = False) -> list[Rows]:
    """The rows of each domain of a card.

    Args:
        card: Its domains.
        values: The domain column.
        where: What errors call it.
        all_known: Refuse domains that the card does not name; otherwise their rows are left out.

    Raises:
        DataError: a domain has no row.
    """
    names = domain_names(card)
    numbers = {value: names.number(value) for value in set(values)}
    strangers = sorted(value for value, number in numbers.items() if number is None)
    known = [domain.name for domain in card.domains]
    if strangers and all_known:
        raise DataError(f"{where}: {some(strangers)} is no domain of '{card.name}'.{hint(strangers, known)}")
    column = np.array([-1 if (n := numbers[value]) is None else n for value in values], np.int64)
    rows = [np.flatnonzero(column == i) for i in range(len(known))]
    empty = [name for name, of_domain in zip(known, rows, strict=True) if len(of_domain) == 0]
    if empty:
        raise DataError(
            f"{where}: no row is of domain {some(empty)}; the values there are {some(sorted(numbers))}. "
            "Another name of a domain goes into its 'folders' on the card."
        )
    if strangers:
        left_out = int(np.count_nonzero(column < 0))
        log.info(
            "%s: %d rows of domains that the card does not name (%s) are left out", where, left_out, some(strangers)
        )
    return rows


def split_column(values: Sequence[str], given: Mapping[str, str], where: str) -> NDArray[np.str_]:
    """What the values of a split column mean, ``<U10`` ``[n]``.

    Raises:
        DataError: a value that neither the card nor custom explains.
    """
    meanings = split_meanings(given)
    unknown = sorted({value for value in values if plain(value) not in meanings})
    if unknown:
        raise DataError(
            f"{where}: what the split {some(unknown)} means is not known; say so in 'reader.splits' on the card"
        )
    return np.array([meanings[plain(value)] for value in values], "<U10")


def group_column(values: Sequence[str]) -> Rows:
    """Group numbers of a column of any values, int64 ``[n]``; equal values have equal numbers."""
    return np.unique(np.array(values, np.str_), return_inverse=True)[1].astype(np.int64).reshape(-1)


def row_groups(card: DatasetCard, count: int) -> Rows:
    """Every row is its own group.

    Raises:
        DataError: the card says that groups are shared, which only a column can say.
    """
    if card.shared_groups:
        raise DataError(f"{card.name}: 'shared_groups' needs a column of groups; name it in 'reader.group' on the card")
    return np.arange(count, dtype=np.int64)


def judged_by(card: DatasetCard) -> tuple[str, ...]:
    """The columns that tell the official groups of a card apart."""
    return tuple(sorted({name for group in card.official.groups for name in group.where}))


def official_groups(card: DatasetCard, column: Callable[[str], Sequence[str]], where: str) -> Rows | None:
    """The official group of every row, by its place on the card, int64 ``[n]``; None where the card has none.

    Args:
        card: Says what the examples of each group have in which columns.
        column: Of that name, a value for each row.
        where: What errors call the table.

    Raises:
        DataError: a row is in no group.
    """
    groups = card.official.groups
    if not groups:
        return None
    names = judged_by(card)
    places = {tuple(group.where[name] for name in names): place for place, group in enumerate(groups)}
    rows = list(zip(*(in_words(column(name)) for name in names), strict=True))
    if strangers := sorted({row for row in rows if row not in places}):
        said = ", ".join(f"{name} '{value}'" for name, value in zip(names, strangers[0], strict=True))
        raise DataError(
            f"{where}: {said} is in none of the 'official.groups' on the card of '{card.name}'; add it there"
        )
    return np.array([places[row] for row in rows], np.int64)


def has_columns(wanted: Sequence[str | None], there: Sequence[str], where: str) -> None:
    """Refuse columns that are not there.

    Raises:
        DataError: names the column, and what may have been meant.
    """
    for name in wanted:
        if name is not None and name not in there:
            raise DataError(
                f"{where}: there is no column '{name}'.{hint([name], there)} The columns are {some(there, 30)}."
            )


def listed(
    card: DatasetCard,
    classes: tuple[str, ...],
    domains: Sequence[Rows],
    pictures: Callable[[Rows], Pictures],
    labels: NDArray[Any],
    groups: Rows,
    official: NDArray[np.str_] | None,
    judged: Rows | None = None,
    named: Sequence[tuple[str, str | None]] | None = None,
) -> Listing:
    """The listing of a table: for each domain its rows, and what columns say of them.

    Args:
        card: Names the domains.
        classes: By number.
        domains: The rows of each domain.
        pictures: The pictures of some rows.
        labels, groups, official, judged: Of every row of the table; no splits and no official groups where it has none.
        named: What each domain is called, and of which of the card's domains it is one; by default they are the card's.
    """
    return Listing(
        card.name,
        classes,
        tuple(
            DomainListing(
                name,
                pictures(rows),
                labels[rows],
                groups[rows],
                None if official is None else official[rows],
                judged=None if judged is None else judged[rows],
                part_of=part_of,
            )
            for (name, part_of), rows in zip(named or [(one.name, None) for one in card.domains], domains, strict=True)
        ),
        shared_groups=card.shared_groups,
    )
