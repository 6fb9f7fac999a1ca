"""Datasets that a function makes from files that the user has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.core.reader_cards import Made
from dgbench.data.domain import Domain
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.pixels.pictures import Frames
from dgbench.data.sets.builders import build


def read(card: DatasetCard, reader: Made, root: Path) -> Listing:
    """What the card's builder makes of the folder ``root``.

    Raises:
        CardError: there is no such builder, or the card's options do not fit it.
        DataError: what it makes has other domains or classes than the card, or labels of another kind; or what the
            builder raises.
    """
    dataset = build(card, reader, root)
    made, wanted = [domain.name for domain in dataset.domains], [domain.name for domain in card.domains]
    if made != wanted:
        raise DataError(f"{card.name}: {reader.builder} makes the domains {made}, but the card has {wanted}")
    if len(dataset.classes) != card.class_count:
        raise DataError(f"{card.name}: {reader.builder} makes {len(dataset.classes)} classes, not {card.class_count}")
    if any((domain.labels.dtype.kind == "f") != (card.value is not None) for domain in dataset.domains):
        made_of, wanted_of = ("classes", "values") if card.value else ("values", "classes")
        raise DataError(
            f"{card.name}: the labels that {reader.builder} makes are {made_of}, and the card has {wanted_of}"
        )
    return Listing(
        card.name,
        dataset.classes,
        tuple(_listed(card.name, domain) for domain in dataset.domains),
        dataset.shared_groups,
    )


def _listed(dataset: str, domain: Domain) -> DomainListing:
    rows = np.arange(len(domain), dtype=np.int64)
    pictures = Frames(np.asarray(domain.inputs[rows]), rows, title=f"{dataset}/{domain.name}")
    return DomainListing(domain.name, pictures, domain.labels, domain.groups, domain.official)
