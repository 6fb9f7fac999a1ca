"""Columns of a table, as numbers: which rows are of which domain, split and group."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.data.readers.naming import domain_names, hint, plain, some, split_meanings

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]


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
