"""Readers: one for each way in which datasets lie on disk, named by the ``kind`` of a card's ``reader``."""

from __future__ import annotations

import importlib
from pathlib import Path

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import CardError, did_you_mean
from dgbench.data.listing import Listing


def read(card: DatasetCard, root: Path) -> Listing:
    """What the folder ``root`` holds of a dataset, by the reader of its card.

    Raises:
        CardError: the card says that a domain is without a class that nobody knows.
        DataError: the layout is not what the card says; the message names the path, what was expected and the remedy.
    """
    module = importlib.import_module(f"dgbench.data.disk.readers.{card.reader.kind}")
    found: Listing = module.read(card, card.reader, root)
    for domain in card.domains:
        if strangers := sorted(set(domain.without) - set(found.classes)):
            raise CardError(
                f"{card.name}: domain '{domain.name}' is without '{strangers[0]}', but there is no such class."
                f"{did_you_mean(strangers[0], found.classes)}"
            )
    return found
