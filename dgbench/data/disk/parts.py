"""The official parts of a dataset: what predictions that come as bare columns are read against."""

from __future__ import annotations

from collections.abc import Mapping

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.core.reader_cards import Table, Wilds
from dgbench.data.disk.locate import locate
from dgbench.data.disk.readers import table, wilds
from dgbench.data.listing import Part


def parts(card: DatasetCard) -> Mapping[str, Part]:
    """Each official part by the name that WILDS gives it, in the order of the dataset's own table.

    Raises:
        DataError: the dataset is not on this machine, is not what its card says, or has no parts in one table.
    """
    reader, found = card.reader, {}
    if isinstance(reader, Wilds):
        found = wilds.parts(card, reader, locate(card))
    elif isinstance(reader, Table):
        found = table.parts(card, reader, locate(card))
    if not found:
        raise DataError(f"'{card.name}' does not come as one table with official parts, so predictions have no order")
    return found
